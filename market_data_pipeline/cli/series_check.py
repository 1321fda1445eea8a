"""What `mdp check` knows of a series: coverage of the range that is judged, and the evidence about doubtful sessions."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.calendars.endings import over_at
from market_data_pipeline.catalog import Availability, Catalog, SessionRow
from market_data_pipeline.catalog.derived import Stale, stale_sessions
from market_data_pipeline.cli.words import listed
from market_data_pipeline.domain.bar_types import BarSpec, Series, parse_instrument_id
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.domain.errors import InvalidDate, NotStored
from market_data_pipeline.domain.quality import HoleRule
from market_data_pipeline.domain.sessions import Partitions, SessionRange, date_of, parse_date


@dataclass(frozen=True)
class Wanted:
    """Which series, and which range of sessions, a person asks about.

    Attributes:
        ids: Instrument ids or bar types; none is all.
        spec: Only bars of this spec, or None.
        start: First session judged; None is the first stored.
        end: Last session judged; None is the last stored.
    """

    ids: tuple[str, ...] = ()
    spec: BarSpec | None = None
    start: dt.date | None = None
    end: dt.date | None = None

    @classmethod
    def parse(cls, ids: Iterable[str] | None, bar: str | None, start: str | None, end: str | None) -> Wanted:
        """Build from what was typed.

        Raises:
            UsageError: If an id, the bar spec or a date is none, or the range runs backwards.
        """
        named = tuple(Series.parse(text).bar_type if text.endswith("-EXTERNAL") else parse_instrument_id(text) for text in ids or ())
        first, last = (None if text is None else parse_date(text) for text in (start, end))
        if first and last and last < first:
            raise InvalidDate(f"The range runs backwards: {first} to {last}. Give the earlier date first.")
        return cls(named, BarSpec.parse(bar) if bar is not None else None, first, last)

    def means(self, series: Series) -> bool:
        """Return whether a series is asked about, by its id and its bars."""
        return (not self.ids or series.instrument_id in self.ids or series.bar_type in self.ids) and self.spec in (None, series.spec)


@dataclass(frozen=True)
class SeriesCheck:
    """A series and the range that was judged.

    Attributes:
        stored: All that is stored of the series.
        start, end: First and last session judged, both inclusive; None where nothing is stored and no range was asked.
        counts: Sessions of the range by coverage.
        gaps: Ranges of sessions that are neither complete nor empty.
        partial: Stored sessions of the range that are partial; None if sessions were not looked at one by one.
        thin: Complete sessions whose bars are few or far apart; None likewise.
        running: A session of the range that has not ended, and is not judged.
        source: Where the last stored session comes from, as the ledger says; None where there are no gaps to fill.
        stale: Derived sessions of the range whose finer bars were replaced since.
    """

    stored: Availability
    start: dt.date | None
    end: dt.date | None
    counts: dict[Coverage, int]
    gaps: tuple[SessionRange, ...]
    partial: tuple[SessionRow, ...] | None = None
    thin: tuple[SessionRow, ...] | None = None
    running: dt.date | None = None
    source: str | None = None
    stale: tuple[Stale, ...] = ()

    @property
    def series(self) -> Series:
        """The series."""
        return self.stored.series

    @property
    def is_from_broker(self) -> bool:
        """True where the newest bars come from Interactive Brokers, which can be asked again."""
        return self.source == "ibkr"

    @property
    def sessions(self) -> int:
        """Sessions of the calendar in the range."""
        return sum(self.counts.values())

    @property
    def is_complete(self) -> bool:
        """True where no session of the range is left to be had."""
        return self.sessions > 0 and not self.gaps


def find_series(catalog: Catalog, wanted: Wanted) -> list[Availability]:
    """Return the stored series that are wanted, sorted; none only if nothing is stored and no id was named.

    Raises:
        NotStored: If nothing is stored of an id, or of the bar spec.
    """
    stored = catalog.availabilities()
    for name in wanted.ids:
        if not any(name in (one.series.instrument_id, one.series.bar_type) for one in stored):
            raise NotStored(_nothing_of(name, stored, catalog))
    found = [one for one in stored if not wanted.ids or one.series.instrument_id in wanted.ids or one.series.bar_type in wanted.ids]
    if wanted.spec is None or not found:
        return found
    of_spec = [one for one in found if one.series.spec == wanted.spec]
    if not of_spec:
        raise NotStored(f"No bars of {wanted.spec} are stored in {catalog.root}. Stored are: {listed([one.series for one in found])}.")
    return of_spec


def _nothing_of(name: str, stored: Sequence[Availability], catalog: Catalog) -> str:
    from difflib import get_close_matches

    if not stored:
        how = "mdp import-csv FILE --instrument ID --bar SPEC, or mdp load ID SPEC"
        return f"Nothing of {name} is stored: the catalog {catalog.root} is empty. Store bars with: {how}"
    ids = list(dict.fromkeys(one.series.instrument_id for one in stored))
    names = [one.series.bar_type for one in stored] if name.endswith("-EXTERNAL") else ids
    meant = get_close_matches(name, names, 1, 0.7)
    hint = f" Did you mean {meant[0]}?" if meant else ""
    return f"Nothing of {name} is stored in {catalog.root}.{hint} Stored are: {listed(names, 12)}."


def check_series(catalog: Catalog, stored: Availability, wanted: Wanted, *, each_session: bool, now_ns: int | None = None) -> SeriesCheck:
    """Judge one series over the wanted range, from the ledger alone.

    Args:
        catalog: Where it is stored.
        stored: Its availability.
        wanted: The range; open ends are the first and last session stored.
        each_session: Whether sessions are looked at one by one, for evidence.
        now_ns: UTC nanoseconds; by default now. Sessions that have not ended are not judged.

    Raises:
        InvalidDate: If the range lies outside the calendar's years, or wholly in the future.
    """
    partitions = partitions_of(stored.series)
    over = over_at(partitions, stored.convention.hours, time.time_ns() if now_ns is None else now_ns)
    last_over = date_of(partitions.days[over - 1])
    start, end = _range(stored, wanted, last_over)
    if start is None or end is None:
        return SeriesCheck(stored, None, None, {}, ())
    _refuse_unknown_years(partitions, start, end)
    if start > last_over:
        raise InvalidDate(f"No session of {stored.series} from {start} on has ended yet. The last one that has is {last_over}.")
    running = stored.last_session if stored.last_session and last_over < stored.last_session <= end else None
    whole = SeriesCheck(stored, start, end, _counts(stored), stored.gaps)
    if wanted.start or wanted.end or end > last_over:
        end = min(end, last_over)
        coverage = catalog.coverage(stored.series, start, end) if start <= end else {}
        whole = replace(whole, end=end, counts=dict(Counter(coverage.values())), gaps=catalog.gaps(stored.series, start, end), running=running)
    if whole.gaps and stored.last_session is not None:
        last = catalog.sessions(stored.series, stored.last_session, stored.last_session)
        whole = replace(whole, source=last[0].source if last else None)
    if not each_session:
        return whole
    rows = catalog.sessions(stored.series, start, end)
    return replace(
        whole,
        partial=tuple(row for row in rows if row.coverage is Coverage.PARTIAL),
        stale=tuple(stale_sessions(catalog, stored.series, start, end)),
        thin=tuple(row for row in rows if row.coverage is Coverage.COMPLETE and _is_thin(row, stored.series.spec)),
    )


def _range(stored: Availability, wanted: Wanted, last_over: dt.date) -> tuple[dt.date | None, dt.date | None]:
    """Return the range to judge; an end that is left open is the last session stored, or the last that is over where the start lies behind that."""
    start, end = wanted.start or stored.first_session, wanted.end or stored.last_session
    if start is None or end is None or start <= end:
        return start, end
    if wanted.end is not None:
        raise InvalidDate(f"{end} lies before the first stored session of {stored.series}, {start}. Say from where with --start.")
    return start, max(start, last_over)


def _counts(stored: Availability) -> dict[Coverage, int]:
    return {
        Coverage.COMPLETE: stored.complete,
        Coverage.EMPTY: stored.empty,
        Coverage.PARTIAL: stored.partial,
        Coverage.MISSING: stored.missing,
    }


def _refuse_unknown_years(partitions: Partitions, start: dt.date, end: dt.date) -> None:
    first, last = date_of(partitions.days[0]), date_of(partitions.days[-1])
    if start.year < first.year or end.year > last.year:
        raise InvalidDate(f"The calendar {partitions.calendar.name} knows sessions from {first} to {last}, not all of {start} to {end}.")


def _is_thin(row: SessionRow, spec: BarSpec) -> bool:
    """Return whether a complete session has fewer than half of its bars, or a stretch without any that a liquid series never has."""
    if spec.is_daily_or_longer or not row.expected:
        return False
    return row.regular * 2 < row.expected or row.longest_absence_s > HoleRule().longest_allowed_s(spec.length_ns // 1_000_000_000, 0.0)
