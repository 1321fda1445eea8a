"""An import as `mdp import-csv` carries it out: definition first, then the bars, with a bar of progress and somebody to ask."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from market_data_pipeline.calendars import calendar_name_of_venue
from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.catalog.instruments import InstrumentChange
from market_data_pipeline.cli.definitions import Definitions, precision_to_use, source_name
from market_data_pipeline.cli.endings import Stopped
from market_data_pipeline.cli.options import Place
from market_data_pipeline.cli.progress import ImportMeter, Meter
from market_data_pipeline.cli.questions import asker
from market_data_pipeline.cli.words import count
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.domain.errors import UsageError
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.import_csv import Conflict, Imported, ImportReport, OnConflict, Prefer, Run, import_csv
from market_data_pipeline.sources.csv import CsvSource, read_layout
from market_data_pipeline.sources.csv.layout import DELIMITERS


@dataclass(frozen=True)
class Files:
    """The files and how they are to be read, as typed."""

    paths: tuple[Path, ...]
    layout: str
    time_zone: str | None
    stamp: str | None
    delimiter: str | None
    skip_bad_rows: bool
    accept_holes: bool


@dataclass(frozen=True)
class Rules:
    """What to do where file and catalog have something to say about one session, and whether to store at all."""

    on_conflict: OnConflict
    prefer: Prefer | None
    run: Run


@dataclass(frozen=True)
class Done:
    """What an import did.

    Attributes:
        report: The use case's report.
        definition: What became of the instrument's definition; None if the stored one was used, or on a dry run.
        partial: The sessions that the files hold in part, as they are stored now; none on a dry run.
        gaps: Sessions between the files' first and last that are not whole in the catalog; none on a dry run.
    """

    report: ImportReport
    definition: InstrumentChange | None
    partial: tuple[SessionRow, ...]
    gaps: tuple[SessionRange, ...]


def carry_out(place: Place, series: Series, files: Files, rules: Rules, instruments: Path | None) -> Done:
    """Import, and say what stands in the catalog afterwards.

    Raises:
        MarketDataError: As the use case does.
        Stopped: On Ctrl-C, with how far it came.
    """
    calendar_name_of_venue(series.venue)  # a venue that nobody knows is told before an instrument that is not defined
    with place.opened() as catalog:
        definitions = Definitions.of(place, instruments)
        with Meter("rows/s") as meter, _source(catalog, files, rules, ImportMeter(meter)) as source:
            precision, instrument = precision_to_use(catalog, definitions, series.instrument_id)
            change = None
            if instrument is not None and rules.run is Run.STORE:
                change = catalog.instruments.put(instrument, source_name(definitions, series.instrument_id))
            report = _follow(_start(catalog, source, series, precision, rules, meter), ImportMeter(meter))
        if rules.run is Run.DRY or report.first_session is None or report.last_session is None:
            return Done(report, change, (), ())
        partial = _partial(catalog, series, report.partial)
        return Done(report, change, partial, catalog.gaps(series, report.first_session, report.last_session))


def _source(catalog: Catalog, files: Files, rules: Rules, meter: ImportMeter) -> CsvSource:
    if files.delimiter is not None and len(DELIMITERS.get(files.delimiter, files.delimiter)) != 1:
        raise UsageError(f"--delimiter {files.delimiter!r} is not one character. Write one, or one of {', '.join(DELIMITERS)}.")
    return CsvSource(
        files.paths,
        read_layout(files.layout),
        time_zone=files.time_zone,
        stamp=files.stamp,
        delimiter=files.delimiter,
        skip_bad_rows=files.skip_bad_rows,
        accept_holes=files.accept_holes,
        # A dry run leaves no folder behind.
        spool_dir=catalog.layout.spool if rules.run is Run.STORE else None,
        progress=meter.reading,
    )


def _start(
    catalog: Catalog, source: CsvSource, series: Series, precision: Precision, rules: Rules, meter: Meter
) -> Generator[Imported, None, ImportReport]:
    ask = asker(rules.prefer)

    def decide(conflicts: tuple[Conflict, ...]) -> OnConflict:
        meter.pause()
        choice = ask(conflicts)
        meter.resume()
        return choice

    return import_csv(catalog, source, series, precision, on_conflict=rules.on_conflict, prefer=rules.prefer, decide=decide, run=rules.run)


def _follow(steps: Generator[Imported, None, ImportReport], meter: ImportMeter) -> ImportReport:
    """Run the import to its end and return its report."""
    last: Imported | None = None
    with closing(steps):
        try:
            while True:
                last = next(steps)
                meter.dealt_with(last)
        except StopIteration as end:
            report: ImportReport = end.value
            return report
        except KeyboardInterrupt:
            # Closing commits what is stored; only then is it true that it stands.
            steps.close()
            raise Stopped(_how_far(last)) from None


def _how_far(last: Imported | None) -> str:
    if last is None:
        return "Stopped. No session was stored."
    done = f"{last.done:,} of {count(last.of, 'session')}"
    return f"Stopped at {last.session}, after {done}. They are whole and stay; the same command goes on from there."


def _partial(catalog: Catalog, series: Series, dates: tuple[dt.date, ...]) -> tuple[SessionRow, ...]:
    if not dates:
        return ()
    wanted = set(dates)
    return tuple(row for row in catalog.sessions(series, min(dates), max(dates)) if row.session in wanted and row.coverage is Coverage.PARTIAL)
