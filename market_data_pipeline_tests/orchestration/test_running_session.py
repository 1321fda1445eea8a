"""The session that is running has a partition already, so that it can be loaded as soon as it is over, and not before."""

from __future__ import annotations

import datetime as dt
import time

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series, WantedBars
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline.orchestration.partitions import session_partitions
from market_data_pipeline.watchlist import Universe
from market_data_pipeline_tests.orchestration.conftest import Project

NYSE = Universe(
    calendar="NYSE",
    start=dt.date(2024, 1, 2),
    bars=(WantedBars.parse("1-MINUTE-LAST"),),
    instruments=("AAPL.NASDAQ",),
    source="ibkr",
    settling_minutes=15,
)


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        ("2024-03-28 20:15", "2024-03-28"),  # a quarter past the close of Thursday, 16:15 New York
        ("2024-07-03 17:15", "2024-07-03"),  # a quarter past an early close
        ("2024-03-29 15:00", "2024-04-01"),  # Good Friday: the next session is Monday
    ],
)
def test_a_session_is_a_partition_before_its_utc_date_is_over(now: str, newest: str) -> None:
    keys = session_partitions(NYSE, "1-MINUTE-LAST")
    with partition_loading_context(effective_dt=dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC)):
        assert keys.get_last_partition_key() == newest
        assert keys.has_partition_key(newest)


def test_a_universe_with_an_end_has_no_partition_after_it() -> None:
    keys = session_partitions(NYSE.model_copy(update={"end": dt.date(2024, 1, 31)}), "1-MINUTE-LAST")
    assert keys.get_last_partition_key() == "2024-01-31"


@pytest.mark.parametrize(
    ("hours", "calendar", "instrument", "now", "last"),
    [
        ("rth", "NYSE", "AAPL.NASDAQ", "2024-07-03 16:59", "2024-07-02"),  # closes at 13:00 New York
        ("rth", "NYSE", "AAPL.NASDAQ", "2024-07-03 17:00", "2024-07-03"),
        (None, "NYSE", "AAPL.NASDAQ", "2024-07-03 17:00", "2024-07-03"),  # regular hours are what stocks are asked for
        ("all", "NYSE", "AAPL.NASDAQ", "2024-07-03 20:59", "2024-07-02"),  # late trading to 17:00
        ("all", "NYSE", "AAPL.NASDAQ", "2024-07-03 21:00", "2024-07-03"),
        (None, "FX", "EUR/USD.IDEALPRO", "2024-07-03 20:59", "2024-07-02"),
        (None, "FX", "EUR/USD.IDEALPRO", "2024-07-03 21:00", "2024-07-03"),
        # Index futures stop at 12:15 Chicago on that day, other products of the exchange later.
        ("rth", "CME", "ESU4.CME", "2024-07-03 18:00", "2024-07-02"),
        ("rth", "CME", "ESU4.CME", "2024-07-03 21:00", "2024-07-03"),
    ],
)
def test_a_session_is_over_with_the_hours_that_are_fetched(hours: str | None, calendar: str, instrument: str, now: str, last: str) -> None:
    spec = "15-MINUTE-MID" if calendar == "FX" else "1-MINUTE-LAST"
    universe = Universe(calendar=calendar, start=dt.date(2024, 1, 2), bars=(spec,), instruments=(instrument,), source="ibkr", hours=hours)  # type: ignore[arg-type]
    now_ns = int(dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC).timestamp()) * 1_000_000_000
    assert str(universe.last_session(spec, now_ns)) == last


def _open_ended(project: Project) -> tuple[str, str]:
    """Let the universe go on for ever; return the newest session that has ended, and the one that is running."""
    path = project.root / "watchlist.yaml"
    path.write_text(path.read_text().replace("    end: 2024-01-31\n", ""))
    partitions = partitions_of(Series.of("AAPL.NASDAQ", "5-MINUTE-LAST"))
    over = partitions.closed_until(time.time_ns())
    return str(date_of(partitions.days[over - 1])), str(date_of(partitions.days[over]))


def _failure(result: dg.ExecuteInProcessResult) -> str:
    return "\n".join(str(event.event_specific_data) for event in result.all_events if event.is_step_failure)


def test_a_range_up_to_the_running_session_leaves_it_out(project: Project) -> None:
    """The files have nothing of the newest session either, so the run says how many it was asked for."""
    newest, running = _open_ended(project)
    result = project.run("stocks_bars", f"{newest}|AAPL.NASDAQ", f"{running}|AAPL.NASDAQ")
    assert "1 of 1 session could not be had" in _failure(result)


def test_the_running_session_alone_is_refused(project: Project) -> None:
    newest, running = _open_ended(project)
    result = project.run("stocks_bars", f"{running}|AAPL.NASDAQ")
    assert f"The session {running} has not ended yet. The last one of stocks that has is {newest}." in _failure(result)
