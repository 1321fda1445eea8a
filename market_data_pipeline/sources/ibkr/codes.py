"""What each message code of a gateway means, in one table.

Source: "TWS API Message Codes" of Interactive Brokers, and what the codes turned out to mean in practice. A code alone does not always say:
162 carries everything the historical data service has to tell, and its text has to be read.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from enum import Enum

from market_data_pipeline.domain.errors import (
    ContractAmbiguous,
    ContractUnknown,
    PacingRefused,
    SourceBusy,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)

GUIDE = "docs/ibkr.md"


class NothingThere(SourceError):
    """The gateway says that it has no data for what was asked. To be believed when said twice."""


class ConnectionLost(SourceUnavailable):
    """The connection is gone, or has no broker behind it. Requests under way are asked again once it is back."""


class ClientIdInUse(SourceUnavailable):
    """Another client of the gateway has this id. The next id of the range is taken."""


class Scope(Enum):
    """What a message ends."""

    NOTHING = "nothing"  # information
    REQUEST = "request"  # the request that it names
    CONNECTION = "connection"  # every request under way


@dataclass(frozen=True)
class Meaning:
    """What a code means.

    Attributes:
        error: The error that a request ends with; None for information.
        cure: What a person can do, one sentence; empty where nothing needs doing.
        scope: What it ends.
    """

    error: type[SourceError] | None
    cure: str = ""
    scope: Scope = Scope.REQUEST


_INFORMATION = Meaning(None, scope=Scope.NOTHING)
_BUSY = Meaning(SourceBusy)
_LOST = Meaning(ConnectionLost, scope=Scope.CONNECTION)
_PERMISSION = Meaning(
    SourceRefused, "Subscribe to the exchange's data in Client Portal (Settings, Market Data Subscriptions), and share it with the paper account."
)
_ASKED_WRONG = Meaning(SourceRefused, "Check the bar spec and its price type; `mdp ibkr discover` shows what IBKR lists.")

_CODES: dict[int, Meaning] = {
    # Final.
    200: Meaning(ContractUnknown, "Look it up with: mdp ibkr discover SYMBOL"),
    203: Meaning(SourceRefused, "The account has no permission for this kind of instrument: Client Portal, Settings, Trading Permissions."),
    320: _ASKED_WRONG,
    321: _ASKED_WRONG,
    354: _PERMISSION,
    430: _ASKED_WRONG,
    503: Meaning(SourceRefused, "Update TWS or IB Gateway: it is too old for this request."),
    10089: _PERMISSION,
    10090: _PERMISSION,
    10187: _PERMISSION,
    10314: _ASKED_WRONG,
    10339: Meaning(SourceRefused, "Ask for a dated future, for example ESZ6.CME: a continuous one has bars up to now only."),
    # Asking again helps.
    100: _BUSY,
    165: _BUSY,
    322: _BUSY,
    366: _BUSY,
    10197: Meaning(SourceBusy, "Log out of the other session of this user, or wait until it ends."),
    # The connection.
    326: Meaning(ClientIdInUse, scope=Scope.CONNECTION),
    502: _LOST,
    504: _LOST,
    507: _LOST,
    1100: _LOST,
    1300: _LOST,
    # Information, whatever request it names.
    1101: _INFORMATION,
    1102: _INFORMATION,
    10167: _INFORMATION,
}

_HISTORICAL_SERVICE = 162
# In order: the first that the text contains, in lower case.
_TEXTS_OF_162: tuple[tuple[str, Meaning], ...] = (
    ("pacing violation", Meaning(PacingRefused)),
    ("no data", Meaning(NothingThere)),
    ("no market data permissions", _PERMISSION),
    ("query cancelled", _BUSY),
    ("different ip address", Meaning(SourceBusy, "Log out of the other session of this user, or wait until it ends.")),
    ("timed out", _BUSY),
    ("timeout", _BUSY),
    ("connect", _BUSY),
    ("try again", _BUSY),
)

# What was asked is told as `AAPL.NASDAQ 1-MINUTE-LAST 2024-01-05`, `Contract BRK B STK SMART/NYSE USD`, `Earliest TRADES of AAPL STK SMART USD`.
_ASKED = re.compile(r"(?:Contract |Earliest \S+ of )?(?P<symbol>.+?)(?:\.[A-Z0-9_]+)? (?:\d+-|(?:STK|CASH|FUT|CONTFUT|IND|CRYPTO|CFD|CMDTY) )")
_AMBIGUOUS = Meaning(ContractAmbiguous, "Choose one with: mdp ibkr discover SYMBOL")
_UNKNOWN = Meaning(SourceRefused)


def meaning_of(code: int, text: str) -> Meaning:
    """Return what a message means. A code that is in no table is final."""
    lowered = text.lower()
    if code == _HISTORICAL_SERVICE:
        return next((meaning for part, meaning in _TEXTS_OF_162 if part in lowered), _UNKNOWN)
    if "pacing violation" in lowered:  # 420 says it of real-time bars
        return Meaning(PacingRefused)
    if code == 200 and "ambiguous" in lowered:
        return _AMBIGUOUS
    if code in _CODES:
        return _CODES[code]
    if 2100 <= code < 2200:  # farms come and go, and warnings
        return _INFORMATION
    return _UNKNOWN


def error_of(code: int, text: str, what: str) -> SourceError | None:
    """Return the error that a request ends with, or None if the message is information.

    Args:
        code: The message's code.
        text: Its text.
        what: What was asked, for a person.
    """
    meaning = meaning_of(code, text)
    if meaning.error is None:
        return None
    said = " ".join(text.split()).rstrip(".")
    cure = f" {meaning.cure.replace('SYMBOL', _symbol_of(what))}" if meaning.cure else ""
    if meaning is _UNKNOWN:
        cure = f" What error {code} means and what helps: {GUIDE}"
    return meaning.error(f"{what}: IBKR says: {said} (error {code}).{cure}")


class Farm(Enum):
    """What a message says of one of the broker's data farms."""

    UP = "up"
    DOWN = "down"
    ASLEEP = "asleep"  # connects by itself when it is asked


_FARMS = {
    2103: Farm.DOWN,
    2104: Farm.UP,
    2105: Farm.DOWN,
    2106: Farm.UP,
    2107: Farm.ASLEEP,
    2108: Farm.ASLEEP,
    2110: Farm.DOWN,
    2157: Farm.DOWN,
    2158: Farm.UP,
}
_BROKER_LINK = 2110


def _symbol_of(what: str) -> str:
    asked = _ASKED.match(what)
    return shlex.quote(asked["symbol"]) if asked is not None else "SYMBOL"


def farm_of(code: int, text: str) -> tuple[str, Farm] | None:
    """Return the farm that a message speaks of and its state, or None if it speaks of none: 2106 `HMDS data farm connection is OK:ushmds`."""
    state = _FARMS.get(code)
    if state is None:
        return None
    name = "broker" if code == _BROKER_LINK else text.rpartition(":")[2].strip() or text
    return name, state


def is_broker_back(code: int) -> bool:
    """True for the messages that end a 1100: 1101 (subscriptions lost) and 1102 (kept); requests under way are asked again after both."""
    return code in (1101, 1102)
