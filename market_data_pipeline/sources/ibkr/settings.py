"""How to reach a gateway, and how to ask it: from the environment or given."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from market_data_pipeline.domain.errors import ConfigurationError

_STATE_FOLDER = "nautilus-market-data-pipeline"
_HIGHEST_PORT = 65_535
_MOST_CLIENTS = 32  # "up to 32 client applications" (TWS API documentation, Connectivity)


class AccountMode(StrEnum):
    """Which kind of account a gateway may be logged in to."""

    PAPER = "paper"
    LIVE = "live"
    ANY = "any"


class Hours(StrEnum):
    """Which hours of a session are asked for."""

    RTH = "rth"
    ALL = "all"


class ExcessDecimals(StrEnum):
    """What to do with a value that needs more decimals than the instrument has."""

    REFUSE = "refuse"
    ROUND = "round"


def state_folder() -> Path:
    """Return the user's folder for what lives between two runs: below XDG_STATE_HOME or ~/.local/state."""
    given = os.environ.get("XDG_STATE_HOME", "")
    # A relative XDG_STATE_HOME must be ignored (XDG Base Directory Specification).
    home = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"
    return home / _STATE_FOLDER / "ibkr"


@dataclass(frozen=True)
class IbkrSettings:
    """How to reach a gateway, and how to ask it. Each value has an environment variable, named in brackets.

    Attributes:
        host: Name or address of the gateway [IB_HOST].
        port: Its API port: gateway paper 4002, live 4001; TWS paper 7497, live 7496 [IB_PORT].
        client_id: First client id of the range that our processes share [IB_CLIENT_ID].
        client_ids: How many ids the range has, at most 32 [IB_CLIENT_IDS].
        connect_timeout_s: Seconds in which a connection stands, or one message says why not [IB_TIMEOUT].
        request_timeout_s: Seconds that one request may take [IB_REQUEST_TIMEOUT].
        request_sizes: Size table of requests: `documented` or `observed` [IB_REQUEST_SIZES].
        pacing: Rule set of the pacing table: `strict`, `relaxed` or a YAML file [IB_PACING].
        pacing_db: Path or database URL of the pacing table; None for the user's own file [IB_PACING_DB].
        retries: How often a request that failed is asked again [IB_RETRIES].
        excess_decimals: Values with more decimals than the instrument has: `refuse` their session, or `round` them and say so
            [IB_EXCESS_DECIMALS].
        account_mode: Refuse a gateway that is logged in to another kind of account [IB_ACCOUNT_MODE].
        in_flight: How many requests of one fetch may be under way at once, where pacing allows [IB_IN_FLIGHT].
        reconnect_s: Seconds for which a lost connection is tried again; a nightly restart takes some minutes [IB_RECONNECT].
        retry_waits_s: Seconds before the first retry, the second …; the last one counts for all that follow.
        wait_scale: Factor on every wait between two tries; only tests change it [IB_WAIT_SCALE].
        state: Folder of client id locks and caches; None for the user's own [IB_STATE].

    Raises:
        ConfigurationError: If a value cannot be meant; the message names the variable.
    """

    host: str = field(default="127.0.0.1", metadata={"variable": "IB_HOST"})
    port: int = field(default=4002, metadata={"variable": "IB_PORT"})
    client_id: int = field(default=40, metadata={"variable": "IB_CLIENT_ID"})
    client_ids: int = field(default=24, metadata={"variable": "IB_CLIENT_IDS"})
    connect_timeout_s: float = field(default=5.0, metadata={"variable": "IB_TIMEOUT"})
    request_timeout_s: float = field(default=120.0, metadata={"variable": "IB_REQUEST_TIMEOUT"})
    request_sizes: str = field(default="documented", metadata={"variable": "IB_REQUEST_SIZES"})
    pacing: str = field(default="strict", metadata={"variable": "IB_PACING"})
    pacing_db: str | None = field(default=None, metadata={"variable": "IB_PACING_DB"})
    retries: int = field(default=3, metadata={"variable": "IB_RETRIES"})
    excess_decimals: ExcessDecimals = field(default=ExcessDecimals.REFUSE, metadata={"variable": "IB_EXCESS_DECIMALS"})
    account_mode: AccountMode = field(default=AccountMode.ANY, metadata={"variable": "IB_ACCOUNT_MODE"})
    in_flight: int = field(default=4, metadata={"variable": "IB_IN_FLIGHT"})
    reconnect_s: float = field(default=900.0, metadata={"variable": "IB_RECONNECT"})
    retry_waits_s: tuple[float, ...] = (15.0, 30.0, 60.0, 120.0, 300.0, 600.0)
    wait_scale: float = field(default=1.0, metadata={"variable": "IB_WAIT_SCALE"})
    state: Path | None = field(default=None, metadata={"variable": "IB_STATE"})

    def __post_init__(self) -> None:
        _require(bool(self.host.strip()), "IB_HOST", self.host, "a host name or address, for example 127.0.0.1")
        _require(
            0 < self.port <= _HIGHEST_PORT, "IB_PORT", self.port, "a port from 1 to 65535: gateway 4002 (paper) or 4001 (live), TWS 7497 or 7496"
        )
        _require(self.client_id > 0, "IB_CLIENT_ID", self.client_id, "a whole number above 0 (client 0 would take over orders made by hand)")
        _require(0 < self.client_ids <= _MOST_CLIENTS, "IB_CLIENT_IDS", self.client_ids, f"a whole number from 1 to {_MOST_CLIENTS}")
        _require(0 < self.connect_timeout_s < float("inf"), "IB_TIMEOUT", self.connect_timeout_s, "seconds above 0")
        _require(0 < self.request_timeout_s < float("inf"), "IB_REQUEST_TIMEOUT", self.request_timeout_s, "seconds above 0, better 120 or more")
        _require(self.request_sizes in ("documented", "observed"), "IB_REQUEST_SIZES", self.request_sizes, "documented or observed")
        _require(bool(self.pacing.strip()), "IB_PACING", self.pacing, "strict, relaxed or a YAML file")
        _require(self.retries >= 0, "IB_RETRIES", self.retries, "a whole number, 0 for no retry")
        _require(self.in_flight > 0, "IB_IN_FLIGHT", self.in_flight, "a whole number above 0")
        _require(0 <= self.reconnect_s < float("inf"), "IB_RECONNECT", self.reconnect_s, "seconds, 0 for no reconnection")
        _require(0 <= self.wait_scale <= 1, "IB_WAIT_SCALE", self.wait_scale, "a factor from 0 to 1; leave it out outside tests")
        _require(bool(self.retry_waits_s) and min(self.retry_waits_s) >= 0, "retry_waits_s", self.retry_waits_s, "seconds, at least one value")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **given: Any) -> IbkrSettings:
        """Read the variables; what is `given` and not None wins over them. A variable that is set but empty counts as not set.

        Raises:
            ConfigurationError: If a value cannot be meant; the message names the variable.
        """
        environment = os.environ if environment is None else environment
        values = {name: value for name, value in given.items() if value is not None}
        for each in fields(cls):
            variable: str = each.metadata.get("variable", "")
            text = values.get(each.name, environment.get(variable, "").strip())
            if text and isinstance(text, str):
                read, expected = _READERS.get(each.name, (str, "text"))
                values[each.name] = _read(read, variable, text, expected)
        return cls(**values)

    @property
    def place(self) -> str:
        """`host:port`, for messages."""
        return f"{self.host}:{self.port}"

    @property
    def state_folder(self) -> Path:
        """Where client id locks and caches are kept."""
        return self.state or state_folder()

    def scaled(self, seconds: float) -> float:
        """Return how long a wait of so many seconds takes with these settings."""
        return seconds * self.wait_scale

    def retry_wait_s(self, retry: int) -> float:
        """Return the seconds before a retry, the first being number 1; not yet scaled."""
        return self.retry_waits_s[min(retry, len(self.retry_waits_s)) - 1]


_WHOLE, _SECONDS = (int, "a whole number"), (float, "a number")
_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "port": _WHOLE,
    "client_id": _WHOLE,
    "client_ids": _WHOLE,
    "retries": _WHOLE,
    "in_flight": _WHOLE,
    "connect_timeout_s": _SECONDS,
    "request_timeout_s": _SECONDS,
    "reconnect_s": _SECONDS,
    "wait_scale": _SECONDS,
    "account_mode": (AccountMode, "paper, live or any"),
    "excess_decimals": (ExcessDecimals, "refuse or round"),
    "state": (Path, "a folder"),
}


def _read(read: Callable[[str], Any], variable: str, text: str, expected: str) -> Any:
    try:
        return read(text)
    except ValueError:
        raise ConfigurationError(f"{variable}={text!r} cannot be meant: write {expected}.") from None


def _require(holds: bool, variable: str, value: object, expected: str) -> None:
    if not holds:
        raise ConfigurationError(f"{variable}={str(value)!r} cannot be meant: write {expected}.")
