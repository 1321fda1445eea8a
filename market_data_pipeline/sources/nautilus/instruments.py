"""Instrument definitions of a foreign catalog: read by Nautilus in a process of its own, because it can end the process that asks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from market_data_pipeline.calendars import VENUES
from market_data_pipeline.catalog.instrument_definitions import iso_pair
from market_data_pipeline.catalog.instrument_files import id_in, row_in
from market_data_pipeline.catalog.layout import interval_of
from market_data_pipeline.domain.bar_types import parse_instrument_id, path_name, venue_of
from market_data_pipeline.domain.errors import CatalogError, CorruptFile, InvalidInstrumentId
from market_data_pipeline.domain.source import Precision

_READER = "market_data_pipeline.sources.nautilus.instrument_reader"
# Venues that are no exchange: IBKR's order router.
_ROUTERS = ("SMART",)
_SHARES = ("Equity",)
_CURRENCIES = ("CurrencyPair",)


@dataclass(frozen=True)
class FoundInstrument:
    """A definition of a foreign catalog.

    Attributes:
        path: The newest file that has it.
        instrument_id: Its id; the folder's name where the file cannot be read.
        kind: Its class in Nautilus, or "".
        precision: Its decimals; None where the file cannot be read.
        refused: Why it is not taken, or None.
        remark: What a person should know though it is taken, or "".
        older: Files of the same id that are older.
    """

    path: Path
    instrument_id: str
    kind: str = ""
    precision: Precision | None = None
    refused: str | None = None
    remark: str = ""
    older: tuple[Path, ...] = ()


def find_instruments(paths: Sequence[Path]) -> tuple[FoundInstrument, ...]:
    """Return the definitions of these files, one an id, sorted by id; those that cannot be used with the reason."""
    found = [_look(path) for path in paths]
    usable = [one for one in found if one.refused is None]
    aborted = dict(read_apart([one.path for one in usable]))
    judged = [replace(one, refused=aborted.get(one.path) or wrong_with(one)) if one.refused is None else one for one in found]
    by_id: dict[str, list[FoundInstrument]] = {}
    for one in judged:
        by_id.setdefault(one.instrument_id, []).append(one)
    return tuple(_newest(by_id[instrument_id]) for instrument_id in sorted(by_id))


def _newest(same: list[FoundInstrument]) -> FoundInstrument:
    """Return the newest that can be used, by the end that the file's name gives, then its change time."""

    def age(one: FoundInstrument) -> tuple[bool, int, int, str]:
        interval = interval_of(one.path.name)
        return one.refused is None, interval[1] if interval else 0, one.path.stat().st_mtime_ns, str(one.path)

    *older, newest = sorted(same, key=age)
    return replace(newest, older=tuple(one.path for one in older))


def _look(path: Path) -> FoundInstrument:
    folder = path.parent.name
    try:
        row = row_in(path)
    except CorruptFile as error:
        reason = str(error).removeprefix(f"{path}: ").partition(". Remove it")[0]
        return FoundInstrument(path, id_in(path) or folder, refused=reason)
    instrument_id, kind = str(row["id"]), str(row["class"])
    price, size = row.get("price_precision"), row.get("size_precision", 0)
    one = FoundInstrument(path, instrument_id, kind)
    if not isinstance(price, int) or not isinstance(size, int):
        return replace(one, refused=f"its price and size precision are {price!r} and {size!r}")
    if path_name(instrument_id) != folder:
        return replace(one, refused=f"it says that it is {instrument_id}, and lies in the folder {folder}")
    try:
        parse_instrument_id(instrument_id)
    except InvalidInstrumentId as error:
        return replace(one, refused=str(error))
    venue = venue_of(instrument_id)
    remark = f"{venue} is IBKR's order router and no exchange: use the venue's own id" if venue in _ROUTERS and kind in _CURRENCIES else ""
    return replace(one, precision=Precision(price, size), remark=remark)


def wrong_with(one: FoundInstrument) -> str | None:
    """Return why a definition that can be read cannot be true, or None."""
    symbol, venue = one.instrument_id.rpartition(".")[0], venue_of(one.instrument_id)
    calendar = VENUES.get(venue)
    if one.kind in _SHARES:
        pair = f"{symbol.replace('-', '/')}.{venue}"
        if "/" in pair and iso_pair(pair) is not None:
            return f"it calls the currency pair {pair.rpartition('.')[0]} a share; the pair is {pair} (mdp instruments define {pair})"
        if calendar in ("FX", "CRYPTO"):
            return f"it is a share on {venue}, where only {'currencies' if calendar == 'FX' else 'coins'} trade"
        if venue in _ROUTERS:
            return f"{venue} is IBKR's order router and no exchange, so no share is listed there; name the exchange, for example {symbol}.ARCA"
    if one.kind in _CURRENCIES and calendar == "FX" and iso_pair(one.instrument_id) is None:
        return f"{symbol} is no pair of national currencies, and {venue} trades nothing else"
    return None


def read_apart(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Let Nautilus read each file in another process; yield those that it refuses, or on which it ends that process, with the reason."""
    left = list(paths)
    while left:
        done = subprocess.run([sys.executable, "-m", _READER], input="\n".join(map(str, left)), capture_output=True, text=True, check=False)
        answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        for path, answer in zip(left, answers, strict=False):
            if answer["error"]:
                yield path, f"Nautilus refuses it: {answer['error']}"
        if len(answers) >= len(left):
            return
        if done.returncode > 0:  # the reader itself could not start: that says nothing about the file
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise CatalogError(f"The process that reads instruments ended with {done.returncode}: {last[:200]}")
        yield left[len(answers)], f"Nautilus ends its process on it (signal {-done.returncode})"
        left = left[len(answers) + 1 :]
