"""A source that asks nobody: coarser sessions made of finer ones that are stored whole."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.calendars.grids import grid_of
from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.catalog.derived import DERIVED, asked_for, sessions_of, together
from market_data_pipeline.domain.aggregation import aggregate
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage, Provenance, SessionAnswer
from market_data_pipeline.domain.errors import CorruptFile
from market_data_pipeline.domain.quality import measure
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.domain.source import Asked, Precision, RequestPlan, SessionFailure

# Finer sessions that are read and aggregated at once: some 8 MB of minutes.
_SESSIONS_AT_ONCE = 64


@dataclass(frozen=True)
class _Part:
    """A coarser session and the finer ones that it is made of; a reason where it cannot be made now."""

    position: int
    session: dt.date
    finer: tuple[dt.date, ...]
    reason: str


class DerivedSource:
    """Makes sessions of a coarser series of the finer series of the same instrument.

    Args:
        catalog: Where the finer bars are, and what the ledger knows of them.
        series: The coarser series.
        finer: The finer series; its spec must divide the coarser one (`BarSpec.why_not_from`).
        precision: Decimals of the finer series.
        convention: The convention of the finer series; the coarser bars have it too.
    """

    def __init__(self, catalog: Catalog, series: Series, finer: Series, precision: Precision, convention: Convention) -> None:
        self._catalog, self._series, self._finer, self._precision, self._convention = catalog, series, finer, precision, convention
        self._coarser, self._of_finer = partitions_of(series), partitions_of(finer)

    @property
    def provenance(self) -> Provenance:
        """What the ledger keeps; each session says itself of which bars it was made."""
        return Provenance(DERIVED, f"{self._series.spec} from {self._finer.spec}", self._convention)

    def plan(self, asked: Asked) -> RequestPlan:
        """Return what deriving takes: no request."""
        rows = self._rows([part.finer for part in self._parts(asked.sessions, {})])
        bars = sum(row.rows for row in rows.values())
        coarser, finer = self._series.spec, self._finer.spec
        each = len(asked.sessions) if coarser.is_daily_or_longer else -(-bars * finer.length_ns // coarser.length_ns)
        return RequestPlan(0, 0.0, len(asked.sessions), min(bars, each))

    def fetch(self, asked: Asked) -> Iterator[SessionAnswer | SessionFailure]:
        """Yield each session, oldest first: made of its finer sessions, or why it cannot be."""
        parts = self._parts(asked.sessions, self._rows([part.finer for part in self._parts(asked.sessions, {})]))
        for chunk in _chunks(parts):
            if chunk[0].reason:
                yield from (SessionFailure(part.session, part.reason) for part in chunk)
            else:
                yield from self._made(chunk)

    def _rows(self, wanted: Sequence[tuple[dt.date, ...]]) -> dict[dt.date, SessionRow]:
        """Return what the ledger knows of finer sessions."""
        dates = [date for some in wanted for date in some]
        return {row.session: row for row in self._catalog.sessions(self._finer, min(dates), max(dates))} if dates else {}

    def _parts(self, sessions: Sequence[dt.date], rows: Mapping[dt.date, SessionRow]) -> list[_Part]:
        found = []
        for session in sessions:
            position = self._coarser.index_of(session)
            assert position is not None  # `load` asks for sessions only
            finer = sessions_of(self._coarser, self._of_finer, position)
            found.append(_Part(position, session, finer, self._why_not(finer, rows)))
        return found

    def _why_not(self, finer: Sequence[dt.date], rows: Mapping[dt.date, SessionRow]) -> str:
        """Return which finer sessions are not whole, and the command that brings them; empty if all are."""
        lacking = [date for date in finer if date not in rows or rows[date].coverage.is_gap]
        if not lacking:
            return ""
        partial = [date for date in lacking if date in rows]
        if len(finer) == 1:
            what = f"its {self._finer.spec} session is {'partial' if partial else 'missing'}"
        else:
            which = SessionRange(lacking[0], lacking[-1], len(lacking))
            what = f"of its {len(finer)} {self._finer.spec} sessions {len(lacking)} are not whole ({which})"
        return f"{what}; load that first: {self._command(lacking)}"

    def _command(self, lacking: Sequence[dt.date]) -> str:
        """Return the command that brings finer sessions, from where the newest stored one came."""
        stored = self._catalog.availability(self._finer)
        last = stored.last_session if stored is not None else None
        newest = self._catalog.sessions(self._finer, last, last) if last is not None else []
        source = newest[0].source if newest else "ibkr"
        name = f'"{self._finer.instrument_id}"' if " " in self._finer.instrument_id else self._finer.instrument_id
        if source == "csv":
            return f"mdp import-csv FILE --instrument {name} --bar {self._finer.spec}"
        derive = " --derive" if source == DERIVED else ""
        return f"mdp load {name} {self._finer.spec}{derive} --mode full --start {lacking[0]} --end {lacking[-1]}"

    def _made(self, parts: Sequence[_Part]) -> Iterator[SessionAnswer | SessionFailure]:
        """Yield sessions that stand side by side, made at once."""
        try:
            finer = self._read(parts[0].finer[0], parts[-1].finer[-1])
        except CorruptFile as error:
            if len(parts) > 1:  # the others are not to suffer
                for part in parts:
                    yield from self._made([part])
            else:
                yield SessionFailure(parts[0].session, f"{error} Run `mdp catalog verify`: it says what to load again.")
            return
        rows = self._rows([part.finer for part in parts])  # again: what is read now is compared with what the ledger says now
        hours = self._convention.hours
        bars = aggregate(finer, self._of_finer, self._coarser, grid_of(self._coarser.calendar, hours), hours)
        for part in parts:
            marks = [self._mark(finer, date) for date in part.finer]
            if [row.fingerprint if (row := rows.get(date)) is not None else "" for date in part.finer] != marks:
                yield SessionFailure(part.session, f"its {self._finer.spec} bars were replaced while they were read; run this again")
                continue
            made = bars.between(int(self._coarser.starts[part.position]), int(self._coarser.ends[part.position]))
            coverage = Coverage.COMPLETE if len(made) else Coverage.EMPTY
            asked = asked_for(self._series.spec, self._finer.spec, together(marks))
            yield SessionAnswer(part.session, made, coverage, measure(made, self._coarser, part.position), asked)

    def _read(self, first: dt.date, last: dt.date) -> BarTable:
        tables = [*self._catalog.read(self._finer, first, last, self._precision)]
        return BarTable.concatenate(tables or [BarTable.empty(self._precision.price, self._precision.size)])

    def _mark(self, bars: BarTable, session: dt.date) -> str:
        return bars.between(*self._of_finer.window(session)).fingerprint()


def _chunks(parts: Sequence[_Part]) -> Iterator[list[_Part]]:
    """Yield parts in groups that are made at once: side by side, all with or all without a reason, and of no more sessions than memory likes."""
    chunk: list[_Part] = []
    for part in parts:
        is_next = bool(chunk) and part.position == chunk[-1].position + 1 and bool(part.reason) == bool(chunk[0].reason)
        if chunk and not (is_next and sum(len(one.finer) for one in chunk) < _SESSIONS_AT_ONCE):
            yield chunk
            chunk = []
        chunk.append(part)
    if chunk:
        yield chunk
