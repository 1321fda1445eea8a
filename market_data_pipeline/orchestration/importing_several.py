"""The job `import_csv` for files of several series: one process for each, a few at once, told together."""

# No `from __future__ import annotations`: kept the same in all modules that touch Dagster's decorated functions.

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import dagster as dg

from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.orchestration.brought_in import BroughtIn, ProgressLines, as_table
from market_data_pipeline.watchlist import Watchlist

if TYPE_CHECKING:
    from dagster._core.definitions.metadata import RawMetadataValue

    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.ingest.definitions import Definitions
    from market_data_pipeline.ingest.import_files import Done, Rules
    from market_data_pipeline.ingest.import_several import SeriesImport
    from market_data_pipeline.parallel import Ended, Told

_COLUMNS = ("series", "stored", "replaced", "merged", "skipped", "unchanged", "bars", "gaps", "failed")


class SeveralImports:
    """One run of the job that imports several series.

    Attributes:
        done: What each import did that came to its end.
        failed: Why each other did not.
    """

    def __init__(self, context: dg.OpExecutionContext, watchlist: Watchlist, imports: "Sequence[SeriesImport]", job: str) -> None:
        self._context, self._imports, self._job = context, imports, job
        self._shown = BroughtIn(context, watchlist)
        self._lines = ProgressLines(context)
        self.done: dict[int, Done] = {}
        self.failed: dict[int, MarketDataError] = {}

    def go(self, catalog: "Catalog", definitions: "Definitions", rules: "Rules", processes: int, wait_s: float) -> None:
        """Import them all; one that fails ends alone."""
        from market_data_pipeline.ingest.import_several import HowFar, import_several

        far = HowFar(len(self._imports))
        # Closed here and not by chance later: a run that is cancelled still brings the ledger up to date.
        with closing(import_several(catalog.root, self._imports, definitions, rules, processes, wait_s)) as events:
            try:
                for event in events:
                    far.hear(event)
                    self._hear(event)
                    self._lines.show("Importing", far.done, far.of, f"{count(far.sessions, 'session')}, {len(self.done):,} series done")
            except dg.DagsterExecutionInterruptedError:
                events.close()
                stored = agreeing(far.sessions, "is whole and stays", "are whole and stay")
                self._context.log.info(f"Stopped. {count(far.sessions, 'session')} {stored}; the same again goes on from there.")
                raise
            finally:
                self._shown.tell()

    def _hear(self, event: "Told | Ended[Done]") -> None:
        from market_data_pipeline.ingest.import_csv import Imported
        from market_data_pipeline.parallel import Told

        series = self._imports[event.piece].series
        if isinstance(event, Told):
            if isinstance(event.news, Imported) and event.news.row is not None:
                self._shown.add(series, event.news.row, f"{event.news.what} by {self._job}")
        elif event.result is not None:
            self.done[event.piece] = event.result
            self._context.log.info(f"{series}: {count(event.result.report.bars_written, 'bar')} of {count(event.result.report.rows_read, 'row')}.")
        elif isinstance(event.error, MarketDataError):
            self.failed[event.piece] = event.error
            self._context.log.warning(f"{series}: {event.error}")
        elif event.error is not None:
            raise event.error

    def told(self) -> "dict[str, RawMetadataValue]":
        """Return what the page shows: a row for each series, sums, and each report."""
        from market_data_pipeline.ingest.import_report import markdown

        reports = [self.done[i] for i in sorted(self.done)]
        return {
            "series": as_table([self._row(i) for i in range(len(self._imports))], _COLUMNS),
            "series_imported": len(self.done),
            "series_failed": len(self.failed),
            "bars_written": sum(one.report.bars_written for one in reports),
            "rows_read": sum(one.report.rows_read for one in reports),
            "report": dg.MetadataValue.md("\n".join(markdown(one) for one in reports) or "No series was imported."),
        }

    def _row(self, number: int) -> dict[str, str | int]:
        from market_data_pipeline.ingest.import_report import OUTCOMES

        row: dict[str, str | int] = {"series": str(self._imports[number].series), **dict.fromkeys(OUTCOMES, 0), "bars": 0, "gaps": 0, "failed": ""}
        if (done := self.done.get(number)) is not None:
            row |= {name: int(getattr(done.report, name)) for name in OUTCOMES}
            row |= {"bars": done.report.bars_written, "gaps": len(done.gaps)}
        elif number in self.failed:
            row["failed"] = str(self.failed[number])
        return row

    def require_all(self) -> None:
        """Let the run fail where a series did.

        Raises:
            MarketDataError: Of the first series that failed; the table names all.
        """
        if self.failed:
            raise self.failed[min(self.failed)]
