"""An import from its first step to its last: the instrument's definition, the bars of the files, and what stands in the catalog afterwards."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.ingest.definitions import Definitions, precision_to_use, source_name
from market_data_pipeline.ingest.import_csv import Decide, Imported, ImportReport, OnConflict, Prefer, Run, import_csv, nobody_to_ask

if TYPE_CHECKING:
    from market_data_pipeline.catalog.instruments import InstrumentChange
    from market_data_pipeline.sources.csv import CsvSource


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


def import_files(
    catalog: Catalog,
    source: CsvSource,
    series: Series,
    definitions: Definitions,
    rules: Rules,
    *,
    decide: Decide = nobody_to_ask,
    wait_s: float = 10.0,
) -> Generator[Imported, None, Done]:
    """Import files, telling each session as it is dealt with.

    The definition of the instrument is stored once the files are found good, and before its first bar.

    Args:
        catalog: Where to store.
        source: The files, open as a context.
        series: What they hold.
        definitions: The definitions in force.
        rules: What to do with conflicts, and whether to store.
        decide: Asks a person about conflicts.
        wait_s: Seconds to wait for another process that writes the series.

    Raises:
        InstrumentNotFound: If the instrument is neither stored nor defined.
        MarketDataError: As `import_csv` does.
    """
    precision, instrument = precision_to_use(catalog, definitions, series.instrument_id)
    changes: list[InstrumentChange] = []

    def define() -> None:
        if instrument is not None:
            changes.append(catalog.instruments.put(instrument, source_name(definitions, series.instrument_id)))

    report = yield from import_csv(
        catalog,
        source,
        series,
        precision,
        on_conflict=rules.on_conflict,
        prefer=rules.prefer,
        decide=decide,
        run=rules.run,
        wait_s=wait_s,
        before_writing=define,
    )
    change = next(iter(changes), None)
    if rules.run is Run.DRY or report.first_session is None or report.last_session is None:
        return Done(report, change, (), ())
    return Done(report, change, _partial(catalog, series, report.partial), catalog.gaps(series, report.first_session, report.last_session))


def _partial(catalog: Catalog, series: Series, dates: tuple[dt.date, ...]) -> tuple[SessionRow, ...]:
    if not dates:
        return ()
    wanted = set(dates)
    return tuple(row for row in catalog.sessions(series, min(dates), max(dates)) if row.session in wanted and row.coverage is Coverage.PARTIAL)
