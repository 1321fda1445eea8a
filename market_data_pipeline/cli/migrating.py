"""A migration as `mdp migrate postgres` carries it out: with a bar of progress and somebody to ask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from market_data_pipeline.calendars import calendar_name_of_venue
from market_data_pipeline.catalog.instruments import InstrumentChange
from market_data_pipeline.cli.endings import Stopped
from market_data_pipeline.cli.options import Place
from market_data_pipeline.cli.output import note
from market_data_pipeline.cli.progress import Meter
from market_data_pipeline.cli.questions import asker
from market_data_pipeline.domain.bar_types import venue_of
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.definitions import Definitions, precision_to_use, source_name
from market_data_pipeline.ingest.import_csv import Conflict, OnConflict, Run
from market_data_pipeline.ingest.migrate import MigrationStep
from market_data_pipeline.ingest.migrate_postgres import Migrated, Migration, migrate_postgres
from market_data_pipeline.ingest.migration_report import MigrationReport


@dataclass(frozen=True)
class Asked:
    """What was typed: the migration, and the file of definitions."""

    migration: Migration
    instruments: Path | None


@dataclass(frozen=True)
class Done:
    """What was done.

    Attributes:
        migrated: The use case's answer.
        definitions: What became of the instruments' definitions.
    """

    migrated: Migrated
    definitions: tuple[InstrumentChange, ...]

    @property
    def report(self) -> MigrationReport:
        """The report."""
        return self.migrated.report


def carry_out(place: Place, asked: Asked) -> Done:
    """Migrate.

    Raises:
        MarketDataError: As the use case does.
        Stopped: On Ctrl-C, with how far it came.
    """
    migration = asked.migration
    if migration.url is not None and _shows_password(migration.url):
        note(
            "The password in the URL can be seen by everybody on this machine (ps), and stays in the shell's history: "
            "prefer ~/.pgpass or MDP_POSTGRES_URL."
        )
    changes: list[InstrumentChange] = []
    last: MigrationStep | None = None
    with place.opened() as catalog:
        definitions = Definitions.of(place.config, asked.instruments)

        def define(instrument_id: str) -> Precision:
            calendar_name_of_venue(venue_of(instrument_id))  # a venue that nobody knows is told before an instrument that is not defined
            precision, instrument = precision_to_use(catalog, definitions, instrument_id)
            if instrument is not None and migration.run is Run.STORE:
                changes.append(catalog.instruments.put(instrument, source_name(definitions, instrument_id)))
            return precision

        ask = asker(migration.prefer)
        with Meter("rows/s") as meter:

            def decide(conflicts: tuple[Conflict, ...]) -> OnConflict:
                meter.pause()
                choice = ask(conflicts)
                meter.resume()
                return choice

            def tell(step: MigrationStep) -> None:
                nonlocal last
                last = step
                if step.report is not None:
                    return
                meter.show("Migrating", step.done, step.total, step.done)
                meter.waiting(f"{step.what} {step.symbol}, {step.number} of {step.of}", 0)

            try:
                done = migrate_postgres(catalog, migration, define, decide=decide, tell=tell, busy=meter.line)
            except KeyboardInterrupt:
                raise Stopped(_how_far(last)) from None
    return Done(done, tuple(changes))


def _how_far(last: MigrationStep | None) -> str:
    if last is None:
        return "Stopped. Nothing was stored."
    session = f", session {last.session.session}" if last.session is not None else ""
    return (
        f"Stopped at {last.symbol} ({last.number} of {last.of}){session}, about {last.done:,} of {last.total:,} rows. "
        "What was stored is whole and stays; "
        "the same command goes on from there."
    )


def _shows_password(url: str) -> bool:
    from urllib.parse import urlsplit

    try:
        return ("://" in url and urlsplit(url).password is not None) or "password=" in url
    except ValueError:
        return False
