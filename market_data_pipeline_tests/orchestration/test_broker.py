"""A universe whose source is Interactive Brokers: the same assets, over a simulated gateway in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.gateway import RunningGateway
from market_data_pipeline_tests.orchestration.brokered import brokered_project
from market_data_pipeline_tests.orchestration.conftest import JANUARY, WATCHLIST, Project
from market_data_pipeline_tests.orchestration.page import ENDED, dagster_dev, wait_until

BARS = "brokered/bars_5_minute_last"

_UNIVERSE = """
  brokered:
    calendar: NYSE
    start: 2024-01-02
    end: 2024-01-31
    bars: ["5-MINUTE-LAST"]
    instruments: ["NVDA.NASDAQ", "NOSUCH.NASDAQ"]
    source: ibkr
    hours: rth
"""
_SPEC = """
name: fetched
strategy:
  config: {fast_period: 5, slow_period: 20}
series: ["META.NASDAQ-5-MINUTE-LAST-EXTERNAL", "NVDA.NASDAQ-5-MINUTE-LAST-EXTERNAL"]
start: 2024-01-02
end: 2024-01-05
starting_balances: ["1000000 USD"]
fetch: true
"""


@pytest.fixture
def brokered(tmp_path: Path, gateway: RunningGateway) -> Iterator[Project]:
    """The usual project with a universe `brokered`, and a spec that fetches."""
    with brokered_project(tmp_path, gateway, WATCHLIST + _UNIVERSE, {"fetched": _SPEC}) as project:
        yield project


def _histories(gateway: RunningGateway) -> int:
    return int(gateway.statistics()["historical"]["total"])


def _failure(result: dg.ExecuteInProcessResult) -> str:
    return "\n".join(str(event.event_specific_data) for event in result.all_events if event.is_step_failure)


def test_instruments_come_from_the_broker_as_nautilus_names_them(brokered: Project) -> None:
    assert brokered.run("brokered_instruments", "NVDA.NASDAQ").success
    shown = brokered.shown("brokered/instruments")["NVDA.NASDAQ"]
    assert shown.metadata["outcome"].value == "new"
    assert brokered.catalog.instruments.precision("NVDA.NASDAQ").price == 2
    assert brokered.run("brokered_instruments", "NVDA.NASDAQ").success
    assert brokered.shown("brokered/instruments")["NVDA.NASDAQ"].metadata["outcome"].value == "unchanged"


def test_a_range_is_one_run_that_shows_each_session_and_is_asked_for_once(brokered: Project, gateway: RunningGateway) -> None:
    """January 2024 had 21 NYSE sessions of 78 five-minute bars; by the documented sizes (1 week) they are 5 requests."""
    before = _histories(gateway)
    assert brokered.run("brokered_bars", "2024-01-02|NVDA.NASDAQ", "2024-01-31|NVDA.NASDAQ").success
    assert _histories(gateway) - before == 5
    shown = brokered.shown(BARS)
    assert len(shown) == 21
    assert {one.metadata["dagster/row_count"].value for one in shown.values()} == {78}
    assert brokered.catalog.sessions(Series.of("NVDA.NASDAQ", "5-MINUTE-LAST"))[0].source == "ibkr"
    assert brokered.run("brokered_bars", "2024-01-02|NVDA.NASDAQ", "2024-01-31|NVDA.NASDAQ").success
    assert _histories(gateway) - before == 5
    assert gateway.statistics()["orders_attempted"] == 0


def test_an_instrument_that_the_broker_does_not_list_does_not_stop_the_others(brokered: Project) -> None:
    result = brokered.run("brokered_bars", "2024-01-02|NVDA.NASDAQ", "2024-01-05|NOSUCH.NASDAQ")
    assert not result.success
    assert len(brokered.shown(BARS)) == 4
    assert "4 of 8 sessions could not be had; 4 are stored and stay" in _failure(result)
    assert "NOSUCH.NASDAQ 2024-01-02 to 2024-01-05 (4 sessions): IBKR lists no contract for NOSUCH.NASDAQ" in _failure(result)


def test_no_gateway_is_one_clear_message_within_seconds(brokered: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IB_PORT", "1")
    started = time.monotonic()
    result = brokered.run("brokered_bars", "2024-01-02|NVDA.NASDAQ", "2024-01-05|NVDA.NASDAQ")
    assert time.monotonic() - started < 15
    assert not result.success
    assert "127.0.0.1:1" in _failure(result)
    assert "docker compose -f deploy/docker-compose.yml up -d ib-gateway" in _failure(result)


def test_a_backtest_fetches_what_it_lacks_and_shows_it_at_the_bars(brokered: Project) -> None:
    """Four sessions of January 2024 of NVDA, which a universe has, and of META, which none has."""
    result = brokered.run("backtest", "fetched")
    assert result.success
    assert len(brokered.shown(BARS)) == 4
    assert brokered.catalog.availability(Series.of("META.NASDAQ", "5-MINUTE-LAST")).rows == 4 * 78  # type: ignore[union-attr]
    assert "passport" in brokered.shown("backtests/from_spec")["fetched"].metadata


def test_a_backtest_that_cannot_fetch_says_what_to_do(brokered: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IB_PORT", "1")
    result = brokered.run("backtest", "fetched")
    assert not result.success
    told = _failure(result)
    assert "Data not found for META" in told
    assert "docker compose -f deploy/docker-compose.yml up -d ib-gateway" in told
    assert "mdp import-csv FILE --instrument META.NASDAQ --bar 5-MINUTE-LAST" in told


@pytest.mark.timeout(300)
def test_a_backfill_that_is_cancelled_in_the_middle_keeps_what_it_stored_and_goes_on_to_the_end(brokered: Project, gateway: RunningGateway) -> None:
    """21 requests of 1-minute bars, 5 in 2 seconds at most, take about 8 seconds: time to cancel."""
    watchlist = brokered.root / "watchlist.yaml"
    watchlist.write_text(
        watchlist.read_text().replace('["NVDA.NASDAQ", "NOSUCH.NASDAQ"]', '["NVDA.NASDAQ"]').replace("5-MINUTE-LAST", "1-MINUTE-LAST")
    )
    series = Series.of("NVDA.NASDAQ", "1-MINUTE-LAST")
    keys = [f"{date}|NVDA.NASDAQ" for date in partitions_of(series).dates_between(*JANUARY)]
    asset = "brokered/bars_1_minute_last"
    with dagster_dev(brokered.root / "home", brokered.settings) as page:
        first = page.launch_backfill(asset, keys)
        wait_until(lambda: 3 <= len(brokered.shown(asset)) < 18)
        (run,) = page.runs_of(first)
        page.terminate(run["runId"])
        wait_until(lambda: page.runs_of(first)[0]["status"] in ENDED)
        assert page.runs_of(first)[0]["status"] == "CANCELED"
        kept = {row.session for row in brokered.catalog.sessions(series)}
        assert 3 <= len(kept) < 21
        assert {key.partition("|")[0] for key in brokered.shown(asset)} == {str(session) for session in kept}
        asked = _histories(gateway)
        runs = page.backfill(asset, keys, runs=1, timeout_s=120)
    assert [run["status"] for run in runs] == ["SUCCESS"]
    assert _histories(gateway) - asked == 21 - len(kept)
    available = brokered.catalog.availability(series)
    assert available is not None
    assert (available.complete, available.rows, available.gaps) == (21, 8_190, ())
    assert len(brokered.shown(asset)) == 21
