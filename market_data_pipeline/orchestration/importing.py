"""The job `import_csv`: files of bars into the catalog, by configuration, with the report beside the run."""

# No `from __future__ import annotations`: Dagster reads the annotations of ops as they are.

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dagster as dg
from pydantic import Field

from market_data_pipeline.calendars import calendar_name_of_venue, partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import ConfigurationError, SourceUnavailable
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.brought_in import BroughtIn, ProgressLines, as_table, gaps_as_table
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.metadata import png
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.watchlist import Watchlist, read_watchlist

if TYPE_CHECKING:
    from dagster._core.definitions.metadata import RawMetadataValue

    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.ingest.definitions import Definitions
    from market_data_pipeline.ingest.import_csv import Imported
    from market_data_pipeline.ingest.import_files import Done, Rules
    from market_data_pipeline.ingest.import_several import CsvFiles
    from market_data_pipeline.sources.csv import CsvSource

JOB = "import_csv"
PLACE_OF_SYMBOL = "{symbol}"


class ImportCsv(dg.Config):
    """What the job `import_csv` is asked for; the same words as the options of `mdp import-csv`."""

    files: list[str] = Field(description="CSV files, also .gz, below the project's folder or absolute; wildcards: data/AAPL-*.csv.")
    instrument: str = Field(
        description="Instrument id, for example AAPL.NASDAQ; {symbol}.NASDAQ where files are named by their symbol, a series each: AAPL-2024.csv."
    )
    jobs: int = Field(default=0, ge=0, description="Series imported at once where there are several, each in a process; 0 is one a core.")
    bar: str = Field(description="Bar spec, for example 1-MINUTE-LAST.")
    layout: str = Field(default="auto", description="auto, a known layout, or a YAML file (docs/csv.md).")
    time_zone: str = Field(default="", description="Zone of times without an offset, for example America/New_York; empty is as the file says.")
    stamp: Literal["", "open", "close"] = Field(
        default="", description="Which end of a bar its time names, open or close; empty is as the file says."
    )
    delimiter: str = Field(default="", description="One character, or comma, semicolon, tab, pipe; empty is found.")
    time_form: str = Field(default="", description="How times are written, for example DD/MM/YYYY HH:MM; empty is as the file shows.")
    symbol: str = Field(default="", description="Whose rows to take, if a column of the files names symbols; empty is all rows.")
    adjusted: bool = Field(default=False, description="Store prices scaled to the column of adjusted closes, as a convention of their own.")
    on_conflict: Literal["fail", "skip", "overwrite", "merge"] = Field(
        default="fail", description="For sessions that are stored with other bars; fail writes nothing, and nobody can be asked here."
    )
    prefer: Literal["", "stored", "file"] = Field(
        default="", description="Whose value a merge takes where both have one bar with different values; empty refuses such a merge."
    )
    skip_bad_rows: bool = Field(default=False, description="Store the good rows; the bad go to a rejects file in the catalog's folder.")
    accept_holes: bool = Field(default=False, description="Take long stretches without bars for thin trading.")
    instruments: str = Field(default="", description="YAML file of instrument definitions; empty is the watchlist's.")
    dry_run: bool = Field(default=False, description="Read and check everything, store nothing, and report what would be stored.")
    wait_s: float = Field(default=60.0, description="Seconds to wait for another process that writes the same series.")


def import_csv_job(places: Places) -> dg.JobDefinition:
    """Make the job `import_csv`. It stores all that the files hold, or fails with one message."""

    @dg.op(
        name="import_bars",
        description="Reads and checks the files whole, then stores session by session; each is shown at its bars where a universe has them.",
    )
    def import_bars(context: dg.OpExecutionContext, config: ImportCsv, catalog: CatalogResource) -> None:
        with one_clear_message():
            watchlist = read_watchlist(places.watchlist)
            if PLACE_OF_SYMBOL in config.instrument:
                _import_several(context, config, catalog.open(), watchlist)
                return
            run = _ImportRun(context, config, catalog.open(), watchlist)
            done = run.go()
            context.add_output_metadata(run.told(done))
            context.log.info(run.summary(done))

    @dg.config_mapping
    def as_options(config: ImportCsv) -> dg.RunConfig:
        return dg.RunConfig(ops={"import_bars": config})

    @dg.job(
        name=JOB,
        config=as_options,
        description=(
            "Store the bars of CSV files, as `mdp import-csv` does. Safe to repeat: what is stored with the same bars is left alone. Configuration: "
            '{"files": ["data/aapl.csv"], "instrument": "AAPL.NASDAQ", "bar": "1-MINUTE-LAST", "time_zone": "America/New_York", "stamp": "open"}.'
        ),
    )
    def import_csv() -> None:
        import_bars()

    return import_csv


def _import_several(context: dg.OpExecutionContext, config: ImportCsv, catalog: "Catalog", watchlist: Watchlist) -> None:
    from market_data_pipeline.ingest.definitions import precision_to_use
    from market_data_pipeline.ingest.import_several import SeriesImport, series_by_file_name
    from market_data_pipeline.orchestration.importing_several import SeveralImports
    from market_data_pipeline.parallel import cores

    found = series_by_file_name(config.instrument, config.bar, files_of(watchlist.project, config.files))
    definitions = _definitions(config, watchlist)
    for series in found:
        calendar_name_of_venue(series.venue)
        precision_to_use(catalog, definitions, series.instrument_id)
    imports = [SeriesImport(series, _csv_files(config, catalog, watchlist, paths)) for series, paths in found.items()]
    run = SeveralImports(context, watchlist, imports, JOB)
    try:
        run.go(catalog, definitions, _rules(config), min(config.jobs or cores(), len(imports)), config.wait_s)
    finally:
        context.add_output_metadata(run.told())
    run.require_all()


def _definitions(config: ImportCsv, watchlist: Watchlist) -> "Definitions":
    from market_data_pipeline.ingest.definitions import Definitions

    return Definitions.of(watchlist.path, watchlist.project / config.instruments if config.instruments else None)


def _rules(config: ImportCsv) -> "Rules":
    from market_data_pipeline.ingest.import_csv import OnConflict, Prefer, Run
    from market_data_pipeline.ingest.import_files import Rules

    return Rules(OnConflict(config.on_conflict), Prefer(config.prefer) if config.prefer else None, Run.DRY if config.dry_run else Run.STORE)


def _csv_files(config: ImportCsv, catalog: "Catalog", watchlist: Watchlist, paths: Sequence[Path]) -> "CsvFiles":
    from market_data_pipeline.ingest.import_several import CsvFiles
    from market_data_pipeline.sources.csv.layout import Prices

    layout = config.layout
    return CsvFiles(
        tuple(paths),
        layout=str(watchlist.project / layout) if layout.endswith((".yaml", ".yml")) else layout,
        time_zone=config.time_zone or None,
        stamp=config.stamp or None,
        delimiter=config.delimiter or None,
        time_form=config.time_form or None,
        symbol=config.symbol or None,
        prices=Prices.ADJUSTED if config.adjusted else Prices.AS_WRITTEN,
        skip_bad_rows=config.skip_bad_rows,
        accept_holes=config.accept_holes,
        rejects_dir=catalog.root / "rejects",
    )


class _ImportRun:
    """One run of the job: how its configuration is meant, and what it did."""

    def __init__(self, context: dg.OpExecutionContext, config: ImportCsv, catalog: "Catalog", watchlist: Watchlist) -> None:
        self._context, self._config, self._catalog, self._watchlist = context, config, catalog, watchlist
        self._series = Series.of(config.instrument, config.bar)
        calendar_name_of_venue(self._series.venue)  # a venue that nobody knows is told before a file that is not there
        self._rules = _rules(config)
        self._shown = BroughtIn(context, watchlist)
        self._lines = ProgressLines(context)
        self._sessions: list[Imported] = []

    def go(self) -> "Done":
        """Import.

        Raises:
            MarketDataError: As the use case does.
        """
        from market_data_pipeline.ingest.import_files import import_files

        config, project = self._config, self._watchlist.project
        definitions = _definitions(config, self._watchlist)
        with self._source(files_of(project, config.files)) as source:
            self._tell_verdict(source)
            steps = import_files(self._catalog, source, self._series, definitions, self._rules, wait_s=config.wait_s)
            # Closed here and not by chance later: a run that is cancelled still brings the ledger up to date.
            with closing(steps):
                try:
                    return self._follow(steps)
                except dg.DagsterExecutionInterruptedError:
                    stored = sum(one.row is not None for one in self._sessions)
                    self._context.log.info(
                        f"{self._series}: stopped. {count(stored, 'session')} "
                        f"{agreeing(stored, 'is whole and stays', 'are whole and stay')}; the same again goes on from there."
                    )
                    raise
                finally:
                    self._shown.tell()

    def _tell_verdict(self, source: "CsvSource") -> None:
        """Say in the log what the files are and why, before anything is stored."""
        verdict = source.verdict(self._series, partitions_of(self._series))
        for line in (*verdict.evidence, *verdict.warnings):
            self._context.log.info(f"{self._series}: {line}")

    def _source(self, files: Sequence[Path]) -> "CsvSource":
        # A dry run leaves no folder behind.
        spool_dir = None if self._config.dry_run else self._catalog.layout.spool
        wanted = _csv_files(self._config, self._catalog, self._watchlist, files)
        return wanted.source(spool_dir, lambda done, total: self._lines.show("Reading and checking", done, total))

    def _follow(self, steps: "Generator[Imported, None, Done]") -> "Done":
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                done: Done = end.value
                return done
            self._sessions.append(step)
            if step.row is not None:
                self._shown.add(self._series, step.row, f"{step.what} by {JOB}")
            self._lines.show("Storing", step.done, step.of, f"{step.done:,} of {step.of:,} sessions")

    def told(self, done: "Done") -> "dict[str, RawMetadataValue]":
        """Return the report as the page shows it."""
        from market_data_pipeline.ingest.import_report import OUTCOMES, markdown, read_as

        report = done.report
        told: dict[str, RawMetadataValue] = {
            "report": dg.MetadataValue.md(markdown(done)),
            "series": self._series.bar_type,
            "dry_run": report.dry_run,
            "read_as": "; ".join(read_as(report)),
            "rows_read": report.rows_read,
            "rows_bad": report.rows_bad,
            "bars_written": report.bars_written,
            **{f"sessions_{outcome}": int(getattr(report, outcome)) for outcome in OUTCOMES},
            "sessions_partial": len(report.partial),
            "sessions": as_table([_row(one) for one in self._sessions], ("session", "outcome", "bars", "coverage")),
            "gaps": gaps_as_table(done.gaps),
            "seconds": round(report.seconds, 3),
        }
        if not report.dry_run and report.first_session is not None and report.last_session is not None:
            from market_data_pipeline.charts.coverage import coverage_png

            stands = self._catalog.coverage(self._series, report.first_session, report.last_session)
            told["coverage"] = png(coverage_png(self._series, stands), f"coverage of {self._series}")
        if done.definition is not None:
            told["definition"] = str(done.definition.outcome)
        if report.rejects_file is not None:
            told["rejects_file"] = dg.MetadataValue.path(report.rejects_file)
        key = self._shown.asset_of(self._series)
        told["shown_at"] = dg.MetadataValue.asset(key) if key is not None else "No universe of the watchlist has these bars; they are in the catalog."
        return told

    def summary(self, done: "Done") -> str:
        """Return the outcome in one line of the log."""
        from market_data_pipeline.ingest.import_report import OUTCOMES

        report = done.report
        kinds = [f"{number:,} {outcome}" for outcome in OUTCOMES if (number := int(getattr(report, outcome)))]
        gaps = f" {count(len(done.gaps), 'gap')} between them: mdp check {self._series.instrument_id} --bar {self._series.spec}." if done.gaps else ""
        bad = f" {count(report.rows_bad, 'bad row')} left out, listed in {report.rejects_file}." if report.rows_bad else ""
        dry = "Dry run, nothing was stored. It would be: " if report.dry_run else ""
        return (
            f"{dry}{self._series}: sessions {', '.join(kinds) or 'none'}; {count(report.bars_written, 'bar')} of "
            f"{count(report.rows_read, 'row')}.{bad}{gaps}"
        )


def files_of(project: Path, names: Sequence[str]) -> list[Path]:
    """Return the files that a configuration names, in its order; those of a wildcard by name.

    Raises:
        ConfigurationError: If none is named.
        SourceUnavailable: If one is not there.
    """
    if not names:
        raise ConfigurationError("files: names no file. Give one or more, for example data/aapl.csv or data/AAPL-*.csv.")
    found: list[Path] = []
    for name in names:
        path = Path(name).expanduser()
        if any(sign in name for sign in "*?["):
            anchor = Path(path.anchor) if path.is_absolute() else project
            matching = sorted(one for one in anchor.glob(str(path.relative_to(path.anchor))) if one.is_file())
        else:
            matching = [project / path] if (project / path).is_file() else []
        if not matching:
            raise SourceUnavailable(f"files: there is no {name} (looked below {project}). Put it there, or correct the configuration.")
        found += matching
    return found


def _row(one: "Imported") -> dict[str, str | int]:
    stored = one.row
    return {
        "session": str(one.session),
        "outcome": one.what,
        "bars": stored.rows if stored is not None else 0,
        "coverage": str(stored.coverage) if stored is not None else "",
    }
