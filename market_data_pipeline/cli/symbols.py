"""Which instrument a symbol means: a stored one, else what the broker lists; where that is several, a person chooses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from market_data_pipeline.calendars import VENUES
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.output import note
from market_data_pipeline.domain.bar_types import parse_instrument_id, path_name, refuse_bar_type
from market_data_pipeline.domain.errors import MarketDataError, QuestionUnanswered, SourceUnavailable
from market_data_pipeline.sources.ibkr import Candidate, DiscoveryCache, IbkrGateway, IbkrSettings, discover

COLUMNS = ("ID", "TYPE", "EXPIRY", "EXCHANGE", "CURRENCY", "NAME")


@dataclass(frozen=True)
class LookedUp:
    """What a symbol may mean: candidates, or why there are none."""

    symbol: str
    candidates: tuple[Candidate, ...] = ()
    error: MarketDataError | None = None


def look_up(settings: IbkrSettings, symbols: Sequence[str]) -> list[LookedUp]:
    """Look symbols up at the broker, or in what was found before; one that nobody knows does not stop the others.

    Raises:
        SourceUnavailable: If the gateway does not answer.
    """
    found, cache = [], DiscoveryCache(settings)
    with IbkrGateway(settings) as gateway:
        for symbol in dict.fromkeys(symbols):
            try:
                found.append(LookedUp(symbol, tuple(discover(gateway, symbol, cache))))
            except SourceUnavailable:
                raise
            except MarketDataError as error:
                found.append(LookedUp(symbol, error=error))
    return found


def instrument_id_of(name: str, catalog: Catalog, gateway: IbkrGateway, command: Callable[[str], str]) -> str:
    """Return the instrument that a name means; the broker is asked only for a symbol of which nothing, or more than one thing, is stored.

    Args:
        name: SYMBOL.VENUE, SYMBOL or SYMBOL@TYPE.
        catalog: Whose instruments are known.
        gateway: Asked for others.
        command: Writes the command to type for an id that was chosen.

    Raises:
        UsageError: If it is a bar type.
        QuestionUnanswered: If it may mean several instruments, and nobody is at the terminal to choose.
        ContractUnknown: If the broker does not know it.
        SourceError: If the broker cannot be asked.
    """
    refuse_bar_type(name)
    if "@" not in name and name.rpartition(".")[2] in VENUES:
        return parse_instrument_id(name)
    stored = [one for one in catalog.instruments.ids() if _symbol_of(one) == path_name(name).upper()]
    if len(stored) == 1:
        return stored[0]
    candidates = discover(gateway, name, DiscoveryCache(gateway.settings))
    return candidates[0].instrument_id if len(candidates) == 1 else _choose(name, candidates, command)


def cells(candidate: Candidate) -> tuple[str, ...]:
    """Return a candidate as a line under `COLUMNS`."""
    exchange = f"{candidate.exchange}/{candidate.primary_exchange}" if candidate.primary_exchange else candidate.exchange
    return (candidate.instrument_id, candidate.sec_type, candidate.expiry or "-", exchange, candidate.currency, candidate.name)


def _symbol_of(instrument_id: str) -> str:
    return path_name(instrument_id.rpartition(".")[0]).upper()


def _choose(name: str, candidates: Sequence[Candidate], command: Callable[[str], str]) -> str:
    """Let a person choose.

    Raises:
        QuestionUnanswered: If there is none, or the input ends.
    """
    table = _numbered(candidates)
    told = f"{name} may mean {len(candidates)} instruments:\n{table}"
    meant = f"Name the one that is meant, for example: {command(candidates[0].instrument_id)}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise QuestionUnanswered(f"{told}\n{meant}")
    note(told)
    while True:
        sys.stderr.write(f"Which one? [1-{len(candidates)}] ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            note("")
            raise QuestionUnanswered(f"No answer was given; nothing was loaded. {meant}")
        given = line.strip()
        by_id = [one.instrument_id for one in candidates if one.instrument_id == given]
        if by_id:
            return by_id[0]
        if given.isdecimal() and 1 <= int(given) <= len(candidates):
            return candidates[int(given) - 1].instrument_id


def _numbered(candidates: Sequence[Candidate]) -> str:
    rows = [("", *COLUMNS), *((str(number), *cells(one)) for number, one in enumerate(candidates, start=1))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
