"""Take bars out of the catalog, into files that pandas, polars and DuckDB read; what is not whole is said, never exported as if it were."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series, path_name
from market_data_pipeline.domain.coverage import Convention, Coverage
from market_data_pipeline.domain.errors import IncompleteRange, InvalidDate, NotStored, UsageError
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.export_columns import Columns, Numbers, StampedAt, columns_of, exact_type
from market_data_pipeline.ingest.export_sinks import ROWS_AT_ONCE, Encoder, Existing, Format, encoder_into_file, encoder_into_pipe, refuse_existing

_GAPS_NAMED = 3


@dataclass(frozen=True)
class How:
    """How bars are to be written.

    Attributes:
        form: What the file is.
        stamped: Which end of a bar its time stamp names.
        time_zone: IANA name of the zone of its times.
        numbers: What prices and volumes are in Parquet and Arrow.
        columns: Names in order; none is time, prices and volume.
    """

    form: Format = Format.CSV
    stamped: StampedAt = StampedAt.OPEN
    time_zone: str = "UTC"
    numbers: Numbers = Numbers.DECIMAL
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """What is stored of a series in a range of sessions, before anything is written.

    Attributes:
        series: The series.
        precision: Its decimals.
        convention: Its hours, and what was done to its prices.
        start, end: First and last session of the range, inclusive.
        bars: How many bars there are.
        sessions: Sessions that have some.
        first, last: The first and the last of these.
        empty: Sessions that were asked for and have none.
        sources: Where the bars come from, for example `csv` and `ibkr`.
        gaps: Sessions of the range that are over and neither complete nor empty.
        running: Sessions that are stored in part because they have not ended: more bars will come.
    """

    series: Series
    precision: Precision
    convention: Convention
    start: dt.date
    end: dt.date
    bars: int
    sessions: int
    first: dt.date
    last: dt.date
    empty: int
    sources: tuple[str, ...]
    gaps: tuple[SessionRange, ...]
    running: tuple[dt.date, ...]

    @property
    def is_whole(self) -> bool:
        """True where no session of the range is missing or stored in part."""
        return not self.gaps and not self.running


@dataclass(frozen=True)
class Exporting:
    """How far an export is: bars of all series written so far, of how many."""

    series: Series
    done: int
    of: int


@dataclass(frozen=True)
class Exported:
    """A series that was exported.

    Attributes:
        selection: What was stored when it began.
        columns: The columns of the file.
        form: What the file is.
        file: The file; None is a pipe.
        bars: Bars written.
        bytes: Size of the file.
        seconds: Time taken.
    """

    selection: Selection
    columns: Columns
    form: Format
    file: Path | None
    bars: int
    bytes: int
    seconds: float

    @property
    def changed_meanwhile(self) -> bool:
        """True where another process stored or removed bars of the range while it was read: gaps are those of before."""
        return self.bars != self.selection.bars


def select(catalog: Catalog, series: Series, start: dt.date | None = None, end: dt.date | None = None) -> Selection:
    """Return what is stored of a series in the sessions dated in [start, end]; None is the first and the last that is stored.

    Raises:
        NotStored: If no bar of the range is stored.
        InvalidDate: If the range runs backwards.
    """
    found, precision = catalog.availability(series), catalog.precision(series)
    if found is None or precision is None or found.first_session is None or found.last_session is None:
        raise NotStored(f"Nothing of {series} is stored in {catalog.root}. See what is: mdp check")
    first, last = start or found.first_session, end or found.last_session
    stored = f"Stored are {found.first_session} to {found.last_session}."
    if last < first:
        raise InvalidDate(f"The range of {series} runs backwards: {first} to {last}. {stored}")
    # Summed up here: of hundreds of series nobody wants to keep each session in memory.
    rows = catalog.sessions(series, first, last)
    with_bars = [row for row in rows if row.rows]
    if not with_bars:
        raise NotStored(f"No bar of {series} is stored between {first} and {last}. {stored}")
    gaps = catalog.gaps(series, first, last)
    partial = (row.session for row in rows if row.coverage is Coverage.PARTIAL)
    return Selection(
        series,
        precision,
        found.convention,
        first,
        last,
        bars=sum(row.rows for row in with_bars),
        sessions=len(with_bars),
        first=with_bars[0].session,
        last=with_bars[-1].session,
        empty=sum(row.coverage is Coverage.EMPTY for row in rows),
        sources=tuple(sorted({row.source for row in with_bars})),
        gaps=gaps,
        running=tuple(date for date in partial if not any(gap.first <= date <= gap.last for gap in gaps)),
    )


def refuse_incomplete(selections: Sequence[Selection]) -> None:
    """Refuse ranges that are not whole.

    Raises:
        IncompleteRange: With what is missing.
    """
    incomplete = [one for one in selections if not one.is_whole]
    if incomplete:
        more = f" … and {len(incomplete) - _GAPS_NAMED:,} more series." if len(incomplete) > _GAPS_NAMED else ""
        told = "; ".join(f"{one.series}: {_missing(one)}" for one in incomplete[:_GAPS_NAMED])
        raise IncompleteRange(
            f"{len(incomplete)} of {len(selections)} series {'is' if len(incomplete) == 1 else 'are'} not whole: {told}.{more} Nothing was written. "
            f"See what fills it: {_check_of(incomplete[0])}; or export without --strict."
        )


def _check_of(selection: Selection) -> str:
    series, gaps = selection.series, selection.gaps
    dates = f" --start {gaps[0].first} --end {gaps[-1].last}" if gaps else ""
    return f"mdp check {series.instrument_id} --bar {series.spec}{dates}"


def _missing(selection: Selection) -> str:
    named = [str(gap) for gap in selection.gaps[:_GAPS_NAMED]]
    named += [f"and {len(selection.gaps) - _GAPS_NAMED:,} more gaps"] if len(selection.gaps) > _GAPS_NAMED else []
    return ", ".join([*named, *(f"{date} has not ended" for date in selection.running)])


def file_name(series: Series, form: Format) -> str:
    """Return what the file of one series is called: `EURUSD.IDEALPRO-15-MINUTE-MID.csv`."""
    return f"{path_name(series.instrument_id)}-{series.spec}.{form}"


def file_in_folder(series: Series, form: Format) -> Path:
    """Return where a series lies in a folder of several: `bar_spec=1-MINUTE-LAST/instrument_id=AAPL.NASDAQ/bars.parquet`.

    Hive's way to name partitions: pandas, polars, DuckDB and Arrow make columns of it. `EUR/USD` is written `EUR%2FUSD`, and read back as it was.
    """
    return Path(f"bar_spec={series.spec}", f"instrument_id={quote(series.instrument_id, safe='')}", f"bars.{form}")


@dataclass(frozen=True)
class Target:
    """A series and the file that it goes to."""

    selection: Selection
    file: Path


def export_to_files(
    catalog: Catalog, targets: Sequence[Target], how: How, existing: Existing = Existing.REFUSE
) -> Generator[Exporting | Exported, None, tuple[Exported, ...]]:
    """Write each series to its file, telling how far it is; each file appears whole or not at all.

    All have the decimals of the instrument that has most, so that they can be read as one data set.

    Raises:
        UsageError: If a file is there already and may not be replaced, before anything is written; or for columns that there are not.
        CatalogError: If a file of the catalog cannot be trusted, or one cannot be written. Files that were whole before stay.
    """
    files = [target.file for target in targets]
    _refuse_inside(catalog, files)
    if existing is Existing.REFUSE:
        refuse_existing(files)
    columns = [_columns(target.selection, how, [one.selection for one in targets]) for target in targets]
    total, before, done = sum(target.selection.bars for target in targets), 0, []
    for target, laid in zip(targets, columns, strict=True):
        started = time.monotonic()
        selection = target.selection
        bars = 0
        metadata = metadata_of(selection, laid)
        with encoder_into_file(target.file, how.form, laid, partitions_of(selection.series), metadata, existing) as encoder:
            for bars in _pour(catalog, selection, encoder):
                yield Exporting(selection.series, before + bars, total)
        before += selection.bars
        seconds = time.monotonic() - started
        done.append(Exported(selection, laid, how.form, target.file, bars, target.file.stat().st_size, seconds))
        yield done[-1]
    return tuple(done)


def _refuse_inside(catalog: Catalog, files: Sequence[Path]) -> None:
    """Refuse to write where Nautilus would take an exported file for bars of its own."""
    for file in files:
        if file.absolute().is_relative_to(catalog.root):
            raise UsageError(f"{file} lies inside the catalog {catalog.root}, whose files are its own. Give another --out.")


def export_to_pipe(catalog: Catalog, selection: Selection, how: How, pipe: BinaryIO) -> Generator[Exporting, None, Exported]:
    """Write one series into a pipe.

    Raises:
        UsageError: For columns that there are not.
        CatalogError: If a file of the catalog cannot be trusted: what came before it is in the pipe already.
    """
    started = time.monotonic()
    laid = _columns(selection, how, [selection])
    bars = 0
    with encoder_into_pipe(pipe, how.form, laid, partitions_of(selection.series), metadata_of(selection, laid)) as (encoder, counted):
        for bars in _pour(catalog, selection, encoder):
            yield Exporting(selection.series, bars, selection.bars)
    return Exported(selection, laid, how.form, None, bars, counted.tell(), time.monotonic() - started)


def _pour(catalog: Catalog, selection: Selection, encoder: Encoder) -> Iterator[int]:
    """Write all bars, in pieces of a size that does not depend on how many there are, and yield how many are written."""
    waiting: list[BarTable] = []
    written = count = 0
    with closing(catalog.read(selection.series, selection.start, selection.end)) as tables:  # type: ignore[type-var]  # a generator
        for table in tables:
            waiting.append(table)
            count += len(table)
            if count >= ROWS_AT_ONCE:
                encoder.write(BarTable.concatenate(waiting))
                written, waiting, count = written + count, [], 0
                yield written
    if waiting:
        encoder.write(BarTable.concatenate(waiting))
        yield written + count


def _columns(selection: Selection, how: How, together: Sequence[Selection]) -> Columns:
    types = exact_type([one.precision.price for one in together]), exact_type([one.precision.size for one in together])
    return columns_of(selection.series.spec, how.stamped, how.time_zone, how.numbers, types, how.columns)


def metadata_of(selection: Selection, columns: Columns) -> dict[str, str]:
    """Return what a file says of itself: which bars, what their times mean, what was done to their prices, and what is missing."""
    dated = selection.series.spec.is_daily_or_longer and columns.stamped is not StampedAt.BOTH
    return {
        "bar_type": selection.series.bar_type,
        "instrument_id": selection.series.instrument_id,
        "price_precision": str(selection.precision.price),
        "size_precision": str(selection.precision.size),
        "stamp": "date" if dated else str(columns.stamped),
        "time_zone": "none" if dated else columns.time_zone,
        "hours": selection.convention.hours,
        "adjustment": selection.convention.adjustment,
        "sources": ", ".join(selection.sources),
        "first_session": str(selection.first),
        "last_session": str(selection.last),
        "gaps": json.dumps([[str(gap.first), str(gap.last)] for gap in selection.gaps]),
        "not_ended": json.dumps([str(date) for date in selection.running]),
    }
