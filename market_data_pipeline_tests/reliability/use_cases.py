"""The use cases that write. To attack one more, add it to `USE_CASES`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define
from market_data_pipeline.domain.coverage import SIMULATED, Convention, Provenance, SessionAnswer
from market_data_pipeline.ingest.from_broker import Order, load_from_broker
from market_data_pipeline.ingest.modes import Mode, Reach
from market_data_pipeline.sources.ibkr import IbkrGateway
from market_data_pipeline_tests.catalog import stopping
from market_data_pipeline_tests.catalog.bar_making import AAPL, CENTS, MONDAY, TUESDAY, WEEK, answer, files_of, morning, put_wide, regular, store
from market_data_pipeline_tests.catalog.months import FEBRUARY, february, joined
from market_data_pipeline_tests.cli.stored import AAPL_YAML
from market_data_pipeline_tests.gateway import start_gateway
from market_data_pipeline_tests.ingest.test_from_broker import settings_of
from market_data_pipeline_tests.postgres.bar_tables import make_legacy
from market_data_pipeline_tests.sources.nautilus.foreign import by_nautilus, equity, with_rows

CATALOG = "catalog"
"""Name of the catalog in the folder of a run."""
GATEWAY = ("--no-pacing", "--now", "2024-03-01T22:00Z")
"""Flags of the simulated gateways; the clocks of all say the same."""

_MINUTES = ("--instrument", "AAPL.NASDAQ", "--bar", "1-MINUTE-LAST")
_THIN_YAML = "instruments:\n  - {id: AAPL.NASDAQ, type: equity, currency: USD, price_precision: 2, isin: US0000000000}\n"


@dataclass(frozen=True)
class Surroundings:
    """What a use case may need beside its folder: the port of a simulated gateway, and the URL of a PostgreSQL database."""

    gateway_port: int
    postgres_url: str


@dataclass(frozen=True)
class UseCase:
    """A command of `mdp` that writes.

    Attributes:
        name: In test ids.
        command: Its words; it runs in a folder of its own, with the catalog `catalog`.
        prepare: Makes what stands in the folder before.
        needs: `gateway`, `postgres` or nothing.
        faults: What that gateway does other than an honest one.
        output: A file that it writes beside the catalog: it is whole or absent.
        starts_damaged: What stands before is nothing that Nautilus could read.
    """

    name: str
    command: tuple[str, ...]
    prepare: Callable[[Path, Surroundings], None]
    needs: str = ""
    faults: tuple[str, ...] = ()
    output: str = ""
    starts_damaged: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def words(self) -> list[str]:
        """The command with its catalog."""
        return [*self.command, "--catalog", CATALOG]


def _definitions(folder: Path) -> None:
    (folder / "instruments.yaml").write_text(AAPL_YAML)


def _two_weeks(folder: Path, _: Surroundings) -> None:
    """Whole, partial, empty and missing sessions stand; a file holds other values for all of them, and a second week."""
    stopping.prepare(folder / CATALOG).ledger.close()
    stopping.write_file(folder / "file.csv")
    _definitions(folder)


def _one_of_five_days(folder: Path, _: Surroundings) -> None:
    """Monday stands, in other values than those of the gateway; the rest of the week is to be loaded."""
    catalog = Catalog.open(folder / CATALOG)
    with catalog.writer(AAPL, CENTS, Provenance("ibkr", "made by hand", Convention("all", SIMULATED))) as writer:
        writer.store(answer(AAPL, MONDAY))
    catalog.ledger.close()


def _foreign(folder: Path, _: Surroundings) -> None:
    """A catalog of Nautilus' own, one day a file, some rows twice, with a definition."""
    for date in WEEK:
        by_nautilus(folder / "old", regular(AAPL, date))
    by_nautilus(folder / "old", regular(AAPL, TUESDAY).slice(0, 50))
    equity(folder / "old")


def _legacy_table(folder: Path, surroundings: Surroundings) -> None:
    """A week of minutes in PostgreSQL."""
    make_legacy(surroundings.postgres_url, {"AAPL": ("2024-02-05", "2024-02-09")}, [])
    _definitions(folder)


def _week(folder: Path) -> Catalog:
    catalog = Catalog.open(folder / CATALOG)
    store(catalog, *(answer(AAPL, date) for date in WEEK))
    _definitions(folder)
    return catalog


def _stored_week(folder: Path, _: Surroundings) -> None:
    _week(folder).ledger.close()


def _thin_definition(folder: Path, _: Surroundings) -> None:
    """A definition stands that the gateway knows better."""
    catalog = _week(folder)
    (folder / "thin.yaml").write_text(_THIN_YAML)
    catalog.instruments.put(define("AAPL.NASDAQ", InstrumentDefinitions.read(folder / "thin.yaml")), "thin.yaml")
    catalog.ledger.close()


def _no_ledger(folder: Path, _: Surroundings) -> None:
    _week(folder).ledger.close()
    for file in (folder / CATALOG).glob("ledger.sqlite*"):
        file.unlink()


def _in_disorder(folder: Path, _: Surroundings) -> None:
    """Rows backwards, rows twice, and a file that covers what another covers."""
    catalog = _week(folder)
    files = files_of(catalog)
    with_rows(files[0], range(389, -1, -1))
    with_rows(files[2], [*range(390), *range(40, 90)])
    put_wide(catalog, regular(AAPL, TUESDAY).slice(0, 50))
    catalog.ledger.close()


def _months(folder: Path, _: Surroundings) -> None:
    """A closed month, three of its sessions empty, and the first sessions of the next, which have to move along."""
    february(folder / CATALOG).ledger.close()


def _month_file(folder: Path, _: Surroundings) -> None:
    """The same month in one file."""
    catalog = february(folder / CATALOG)
    joined(catalog)
    catalog.ledger.close()


def _over_a_month_file(*answers: SessionAnswer) -> Callable[[Path, Surroundings], None]:
    """A month in one file, and a CSV file with other values for some of its sessions."""

    def prepare(folder: Path, surroundings: Surroundings) -> None:
        _month_file(folder, surroundings)
        stopping.write_bars(folder / "file.csv", [one.bars for one in answers])
        _definitions(folder)

    return prepare


def _from_an_honest_gateway(folder: Path, _: Surroundings) -> None:
    """Four sessions as the broker had them at first. It has others now."""
    catalog = Catalog.open(folder / CATALOG)
    beside = folder.with_name(f"{folder.name}-honest")
    with start_gateway(beside, *GATEWAY) as running, IbkrGateway(settings_of(beside, running.port)) as gateway:
        list(load_from_broker(catalog, gateway, [Order(AAPL, Reach(Mode.FULL, dt.date(2024, 2, 27), dt.date(2024, 3, 1)))]))
    assert [row.rows for row in catalog.sessions(AAPL)] == [390] * 4
    catalog.ledger.close()


USE_CASES = (
    UseCase(
        "import",
        ("import-csv", "file.csv", *_MINUTES, "--timezone", "UTC", "--stamp", "open", "--on-conflict", "merge", "--prefer", "file"),
        _two_weeks,
    ),
    UseCase(
        "load",
        ("load", "AAPL.NASDAQ", "1-MINUTE-LAST", "--mode", "backfill", "--start", "2024-02-05", "--end", "2024-02-09", "--hours", "all"),
        _one_of_five_days,
        needs="gateway",
    ),
    UseCase("adopt", ("catalog", "adopt", "old"), _foreign),
    UseCase("migrate", ("migrate", "postgres", "--venue", "NASDAQ"), _legacy_table, needs="postgres"),
    UseCase("compact", ("catalog", "compact"), _months),
    UseCase("take apart", ("catalog", "compact", "--undo"), _month_file),
    UseCase(
        "store into a month",
        ("import-csv", "file.csv", *_MINUTES, "--timezone", "UTC", "--stamp", "open", "--on-conflict", "overwrite"),
        _over_a_month_file(*(answer(AAPL, date, seed=1) for date in FEBRUARY[4:7])),
    ),
    UseCase(
        "part into a month",
        ("import-csv", "file.csv", *_MINUTES, "--timezone", "UTC", "--stamp", "open", "--on-conflict", "overwrite"),
        _over_a_month_file(answer(AAPL, FEBRUARY[4], seed=1), morning(AAPL, FEBRUARY[5], seed=1), answer(AAPL, FEBRUARY[6], seed=1)),
    ),
    UseCase(
        "recheck",
        ("load", "AAPL.NASDAQ", "1-MINUTE-LAST", "--recheck", "3"),
        _from_an_honest_gateway,
        needs="gateway",
        faults=("history:*=revised:2024-02-28,2024-03-01",),
    ),
    UseCase(
        "rebase",
        ("load", "AAPL.NASDAQ", "1-MINUTE-LAST", "--rebase"),
        _from_an_honest_gateway,
        needs="gateway",
        faults=("history:*=split:4:2024-03-01",),
    ),
    UseCase("derive", ("load", "AAPL.NASDAQ", "5-MINUTE-LAST", "--derive", "--from", "1-MINUTE-LAST"), _stored_week),
    UseCase("refresh", ("instruments", "refresh"), _thin_definition, needs="gateway"),
    UseCase("rebuild", ("catalog", "verify"), _no_ledger),
    UseCase("repair", ("catalog", "repair"), _in_disorder, starts_damaged=True),
    UseCase("export", ("catalog", "export", "AAPL.NASDAQ", "1-MINUTE-LAST", "--out", "bars.csv", "--overwrite"), _stored_week, output="bars.csv"),
)
