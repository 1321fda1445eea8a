"""Derived bars beside the coarser bars of a gateway, bar by bar: each loaded by the same client into a catalog of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.ingest.derive import DeriveOrder
from market_data_pipeline.ingest.from_broker import Order
from market_data_pipeline.ingest.missing import fetch_missing
from market_data_pipeline.ingest.modes import Mode, Reach
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.ingest.deriving import derived
from market_data_pipeline_tests.ingest.test_from_broker import run, settings_of

# Weeks in which clocks change in New York (Sunday 2024-03-10, Sunday 2024-11-03), and an early close (Friday 2024-11-29, 13:00 New York).
SPRING, AUTUMN, EARLY = ("2024-03-04", "2024-03-15"), ("2024-10-28", "2024-11-08"), ("2024-11-25", "2024-12-02")
CASES = [
    ("AAPL.NASDAQ", "LAST", "1-MINUTE", Hours.RTH, EARLY),
    ("AAPL.NASDAQ", "LAST", "1-MINUTE", Hours.ALL, SPRING),
    ("ES.NYSE", "LAST", "1-MINUTE", Hours.ALL, EARLY),  # thin: minutes without a trade
    ("EUR/USD.IDEALPRO", "MID", "5-MINUTE", Hours.ALL, AUTUMN),
    ("USD/JPY.IDEALPRO", "BID", "15-MINUTE", Hours.ALL, SPRING),
    ("ESZ4.CME", "LAST", "5-MINUTE", Hours.ALL, AUTUMN),
    ("CLF5.NYMEX", "LAST", "15-MINUTE", Hours.ALL, EARLY),
    ("BTC/USD.PAXOS", "LAST", "15-MINUTE", Hours.ALL, SPRING),
]
COARSER = ("5-MINUTE", "15-MINUTE", "30-MINUTE", "1-HOUR", "2-HOUR", "4-HOUR", "8-HOUR", "1-DAY", "1-WEEK")


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with start_gateway(tmp_path_factory.mktemp("gateway"), "--no-pacing", "--now", "2024-12-10T12:00Z", "--speed", "0") as running:
        yield running


@pytest.mark.parametrize(("instrument", "price", "finer", "hours", "days"), CASES, ids=lambda value: str(value).replace("/", ""))
def test_derived_bars_are_those_of_the_gateway(
    simulator: RunningGateway, tmp_path: Path, instrument: str, price: str, finer: str, hours: Hours, days: tuple[str, str]
) -> None:
    first, last = (dt.date.fromisoformat(day) for day in days)
    reach = Reach(Mode.FULL, first, last)
    source = Series.of(instrument, f"{finer}-{price}")
    coarser = [Series.of(instrument, f"{length}-{price}") for length in COARSER if _is_coarser(length, finer)]
    ours, theirs = Catalog.open(tmp_path / "ours"), Catalog.open(tmp_path / "theirs")
    with IbkrGateway(settings_of(tmp_path, simulator.port)) as gateway:
        _run(ours, gateway, [Order(source, reach, hours)])
        _run(theirs, gateway, [Order(series, reach, hours) for series in coarser])
    asked = simulator.statistics()["requests"]
    for series in coarser:
        whole = Reach(Mode.FULL)
        report = derived(ours, DeriveOrder(series, source, whole))
        assert (report.requests_made, report.failed_segments) == (0, ())
        dates = [row.session for row in ours.sessions(series)]
        made = BarTable.concatenate([*ours.read(series)])
        fetched = BarTable.concatenate([*theirs.read(series, dates[0], dates[-1])])
        assert len(made) == len(fetched) > 0, series
        for column in ("ts_event", "ts_init", "open", "high", "low", "close", "volume"):
            assert made.column(column).tolist() == fetched.column(column).tolist(), (series, column)
        assert ours.convention(series) == theirs.convention(series)
    assert simulator.statistics()["requests"] == asked


def _is_coarser(length: str, finer: str) -> bool:
    return not Series.of("A.NASDAQ", f"{length}-LAST").spec.why_not_from(Series.of("A.NASDAQ", f"{finer}-LAST").spec)


def _run(catalog: Catalog, gateway: IbkrGateway, orders: list[Order]) -> None:
    outcomes = run(catalog, gateway, orders)[1]
    assert not [(outcome.series, outcome.error) for outcome in outcomes if outcome.failed]


def test_a_backtest_that_lacks_derived_bars_gets_the_finer_ones_and_derives_them(simulator: RunningGateway, tmp_path: Path) -> None:
    """One session of 390 minutes is one request; five minutes and the day are made of them."""
    names = ("1-MINUTE-LAST", "5-MINUTE-LAST", "1-DAY-LAST")
    minutes, five, day = (Series.of("AAPL.NASDAQ", name) for name in names)
    finer = {five: minutes, day: five}
    catalog = Catalog.open(tmp_path / "catalog")
    session = dt.date(2024, 3, 11)
    with IbkrGateway(settings_of(tmp_path, simulator.port)) as gateway:
        for _ in fetch_missing(catalog, lambda: gateway, [day, five], session, session, finer_of=finer.get):
            pass
    assert [[row.rows for row in catalog.sessions(one)] for one in (minutes, five, day)] == [[390], [78], [1]]
    assert [row.source for one in (minutes, five, day) for row in catalog.sessions(one)] == ["ibkr", "derived", "derived"]
