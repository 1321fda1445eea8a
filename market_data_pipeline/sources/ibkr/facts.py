"""What a gateway says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from market_data_pipeline.sources.ibkr.settings import AccountMode

_SHOWN = 2
_SIMULATED = "DUSIM"  # what the accounts of our gateway simulator begin with


@dataclass(frozen=True)
class ServerFacts:
    """What a gateway says of itself, for `mdp ibkr status`.

    Attributes:
        host: Its host.
        port: Its API port.
        client_id: Our client id.
        server_version: Version of the protocol that it speaks.
        connected_at: When it says that we connected, in its own words (its zone).
        accounts: Account numbers, masked but for their last two characters.
        mode: Paper or live; ANY where there are both.
        farms: State of each data farm it spoke of: up, down or asleep.
        clock_ahead_s: Seconds by which its clock is ahead of ours.
        simulated: True where it is the simulator, whose prices are invented.
    """

    host: str
    port: int
    client_id: int
    server_version: int
    connected_at: str
    accounts: tuple[str, ...]
    mode: AccountMode
    farms: Mapping[str, str]
    clock_ahead_s: float
    simulated: bool = False


def masked(account: str) -> str:
    """Return an account number with only its last two characters: `•••••67`. Logs and messages never show more."""
    return "•" * max(len(account) - _SHOWN, 0) + account[-_SHOWN:]


def is_simulated(accounts: Sequence[str]) -> bool:
    """Return whether accounts are those of the gateway simulator, whose prices are invented."""
    return any(account.upper().startswith(_SIMULATED) for account in accounts)


def mode_of(accounts: Sequence[str]) -> AccountMode:
    """Return whether accounts are paper (their numbers start with D) or live; ANY if there are both, or none."""
    paper = {account.upper().startswith("D") for account in accounts}
    if len(paper) != 1:
        return AccountMode.ANY
    return AccountMode.PAPER if paper.pop() else AccountMode.LIVE
