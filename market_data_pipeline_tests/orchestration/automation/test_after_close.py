"""Each session is loaded once, after its end: against published calendars for three years, and on a real instance."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.automation.after_close import after_close_schedules, session_to_load, why_nothing_is_due
from market_data_pipeline.orchestration.failures import ClearFailure
from market_data_pipeline.orchestration.partitions import RANGE_END_TAG, RANGE_START_TAG
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.orchestration.universe import universe_parts
from market_data_pipeline.watchlist import read_watchlist
from market_data_pipeline_tests.answers import globex, nyse
from market_data_pipeline_tests.orchestration.conftest import Project

NEW_YORK, UTC = ZoneInfo("America/New_York"), ZoneInfo("UTC")
_UNIVERSE = """
universes:
  one:
    calendar: {calendar}
    start: 2024-01-02
    bars: ["{spec}"]
    instruments: ["{instrument}"]
    source: ibkr
    hours: {hours}
"""


def schedule(folder: Path, calendar: str, instrument: str, spec: str, hours: str = "all") -> dg.ScheduleDefinition:
    path = folder / "watchlist.yaml"
    path.write_text(_UNIVERSE.format(calendar=calendar, instrument=instrument, spec=spec, hours=hours))
    watchlist = read_watchlist(path)
    (found,) = after_close_schedules(watchlist, [universe_parts(watchlist, "one")])
    return found


def loaded(found: dg.ScheduleDefinition, instrument: str, spec: str, hours: str, years: range) -> dict[str, str]:
    """Return when each session is loaded, in the schedule's zone, by Dagster's own reading of the crons."""
    zone = ZoneInfo(str(found.execution_timezone))
    start, end = (dt.datetime(year, 1, 1, tzinfo=zone).timestamp() for year in (years.start, years.stop))
    partitions = partitions_of(Series.of(instrument, spec))
    sessions: dict[str, str] = {}
    for tick in schedule_execution_time_iterator(start, found.cron_schedule, str(found.execution_timezone)):
        if tick.timestamp() >= end:
            return sessions
        session = session_to_load(partitions, hours, round(tick.timestamp()) * 1_000_000_000, 15 * 60)
        if session is not None:
            assert str(session) not in sessions, f"{session} is loaded twice"
            sessions[str(session)] = f"{tick.astimezone(zone):%Y-%m-%d %H:%M}"
    raise AssertionError("the schedule has an end")


def weekdays(years: range) -> Iterator[dt.date]:
    day = dt.date(years.start, 1, 1)
    while day.year < years.stop:
        if day.weekday() < 5:
            yield day
        day += dt.timedelta(days=1)


def nyse_sessions(regular: str, early: str) -> dict[str, str]:
    """When each NYSE session of 2024 to 2026 is loaded, by NYSE's own notices."""
    holidays = {f"{year}-{day}" for year, days in nyse.HOLIDAYS.items() for day in days.split()}
    earlier = {f"{year}-{day}" for year, days in nyse.EARLY_CLOSES.items() for day in days.split()}
    open_days = [str(day) for day in weekdays(range(2024, 2027)) if str(day) not in holidays]
    return {day: f"{day} {early if day in earlier else regular}" for day in open_days}


@pytest.mark.parametrize("spec", ["1-MINUTE-LAST", "1-DAY-LAST"])
def test_regular_hours_of_nyse_are_loaded_a_quarter_past_the_close_of_every_session(tmp_path: Path, spec: str) -> None:
    found = schedule(tmp_path, "NYSE", "AAPL.NASDAQ", spec, "rth")
    sessions = loaded(found, "AAPL.NASDAQ", spec, "rth", range(2024, 2027))
    assert sessions == nyse_sessions(regular="16:15", early="13:15")
    assert len(sessions) == nyse.SESSIONS[2024] + nyse.SESSIONS[2025] + nyse.SESSIONS[2026]


def test_all_hours_of_nyse_are_loaded_after_post_market_hours(tmp_path: Path) -> None:
    """To 20:00, and to 17:00 after an early close (NYSE holiday notices)."""
    found = schedule(tmp_path, "NYSE", "AAPL.NASDAQ", "1-MINUTE-LAST")
    assert loaded(found, "AAPL.NASDAQ", "1-MINUTE-LAST", "all", range(2024, 2027)) == nyse_sessions(regular="20:15", early="17:15")


# Clocks change on the second Sunday of March and the first of November (Energy Policy Act of 2005): the last session before, the first after.
CLOCK_CHANGES = {
    2024: ("2024-03-08", "2024-03-11", "2024-11-01", "2024-11-04"),
    2025: ("2025-03-07", "2025-03-10", "2025-10-31", "2025-11-03"),
    2026: ("2026-03-06", "2026-03-09", "2026-10-30", "2026-11-02"),
}


@pytest.mark.parametrize("year", CLOCK_CHANGES)
@pytest.mark.parametrize(
    ("calendar", "instrument", "spec", "hours", "winter", "summer"),
    [
        ("NYSE", "AAPL.NASDAQ", "1-MINUTE-LAST", "rth", "21:15", "20:15"),
        ("FX", "EUR/USD.IDEALPRO", "15-MINUTE-MID", "all", "22:15", "21:15"),
        ("CME", "ESH5.CME", "1-MINUTE-LAST", "all", "22:15", "21:15"),
        ("CBOE", "SPX.CBOE", "1-MINUTE-LAST", "all", "22:15", "21:15"),
    ],
)
def test_clock_changes_move_the_load_by_an_hour_of_utc(
    tmp_path: Path, year: int, calendar: str, instrument: str, spec: str, hours: str, winter: str, summer: str
) -> None:
    """New York and Chicago change on the same Sundays, at 2:00 of their own: while every market is closed."""
    found = schedule(tmp_path, calendar, instrument, spec, hours)
    zone = ZoneInfo(str(found.execution_timezone))
    sessions = loaded(found, instrument, spec, hours, range(year, year + 1))
    clocks = [dt.datetime.fromisoformat(sessions[day]).replace(tzinfo=zone) for day in CLOCK_CHANGES[year]]
    assert [f"{clock.astimezone(UTC):%H:%M}" for clock in clocks] == [winter, summer, summer, winter]


def test_currencies_are_loaded_after_five_in_new_york_on_every_weekday_but_two_holidays(tmp_path: Path) -> None:
    found = schedule(tmp_path, "FX", "EUR/USD.IDEALPRO", "15-MINUTE-MID")
    days = [str(day) for day in weekdays(range(2024, 2027)) if (day.month, day.day) not in ((1, 1), (12, 25))]
    assert loaded(found, "EUR/USD.IDEALPRO", "15-MINUTE-MID", "all", range(2024, 2027)) == {day: f"{day} 17:15" for day in days}


def test_crypto_is_loaded_after_every_utc_midnight(tmp_path: Path) -> None:
    found = schedule(tmp_path, "CRYPTO", "BTC/USD.PAXOS", "1-MINUTE-LAST")
    days = [dt.date(2023, 12, 31) + dt.timedelta(days=i) for i in range(366 + 365 + 365)]
    expected = {str(day): f"{day + dt.timedelta(days=1)} 00:15" for day in days}
    assert loaded(found, "BTC/USD.PAXOS", "1-MINUTE-LAST", "all", range(2024, 2027)) == expected


@pytest.mark.parametrize("hours", ["rth", "all"])
@pytest.mark.parametrize(("calendar", "instrument"), [("CME", "ESH5.CME"), ("CBOT", "ZNH5.CBOT"), ("NYMEX", "CLG5.NYMEX"), ("COMEX", "GCG5.COMEX")])
def test_futures_are_loaded_after_the_end_of_the_window_also_when_they_stop_early(tmp_path: Path, calendar: str, instrument: str, hours: str) -> None:
    """On short days products of one exchange stop at hours of their own; 16:00 Chicago holds all of them."""
    found = schedule(tmp_path, calendar, instrument, "1-MINUTE-LAST", hours)
    closed = globex.CLOSED[calendar].split()
    days = [str(day) for day in weekdays(range(2024, 2027)) if str(day) not in closed]
    assert loaded(found, instrument, "1-MINUTE-LAST", hours, range(2024, 2027)) == {day: f"{day} 16:15" for day in days}
    short = [day for day, close in globex.CLOSES[calendar].items() if day >= "2024" and close != "16:00"]
    assert len(short) >= 4
    assert set(short) <= set(days)


def test_index_options_are_loaded_on_every_session_of_stocks(tmp_path: Path) -> None:
    """Cboe keeps the holidays of stocks (NYSE holiday notices); its curb session ends at 16:00 Chicago."""
    found = schedule(tmp_path, "CBOE", "SPX.CBOE", "1-MINUTE-LAST")
    assert loaded(found, "SPX.CBOE", "1-MINUTE-LAST", "all", range(2024, 2027)) == nyse_sessions(regular="16:15", early="16:15")


def test_a_day_bar_of_currencies_waits_for_the_end_of_its_utc_date(tmp_path: Path) -> None:
    """That is 19:00 New York in winter and 20:00 in summer."""
    found = schedule(tmp_path, "FX", "EUR/USD.IDEALPRO", "1-DAY-MID")
    sessions = loaded(found, "EUR/USD.IDEALPRO", "1-DAY-MID", "all", range(2024, 2025))
    assert sessions["2024-01-05"] == "2024-01-05 19:15"
    assert sessions["2024-07-05"] == "2024-07-05 20:15"
    assert len(sessions) == 262 - 2  # weekdays of 2024 but New Year and Christmas


def test_a_tick_without_a_session_says_what_ended_and_what_is_next() -> None:
    """2024-01-15 was Martin Luther King Day, a Monday."""
    tick = int(dt.datetime(2024, 1, 15, 16, 15, tzinfo=NEW_YORK).timestamp()) * 1_000_000_000
    said = why_nothing_is_due(partitions_of(Series.of("AAPL.NASDAQ", "1-MINUTE-LAST")), "rth", tick, 900)
    assert said == (
        "No session of NYSE has ended since 2024-01-12 (loaded from 2024-01-12 16:15 EST); "
        "the next one is 2024-01-16 (loaded from 2024-01-16 16:15 EST)."
    )


# On a real instance: two stocks from CSV files, stored with all hours, so due at 20:15 New York.


def tick(project: Project, day: str, clock: str = "20:15") -> dg.RunRequest | dg.SkipReason:
    watchlist = read_watchlist(project.root / "watchlist.yaml")
    (found,) = after_close_schedules(watchlist, [universe_parts(watchlist, "stocks")])
    return evaluate(project, found, day, clock)


def evaluate(project: Project, found: dg.ScheduleDefinition, day: str, clock: str = "20:15") -> dg.RunRequest | dg.SkipReason:
    when = dt.datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=NEW_YORK)
    resources = {"catalog": CatalogResource(path=str(project.root / "catalog"))}
    with dg.build_schedule_context(instance=project.instance, scheduled_execution_time=when, resources=resources) as context:
        data = found.evaluate_tick(context)
    if not data.run_requests:
        return dg.SkipReason(data.skip_message)
    (request,) = data.run_requests
    return request


def span(request: dg.RunRequest | dg.SkipReason) -> tuple[str, str]:
    assert isinstance(request, dg.RunRequest), request
    return request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]


def why(request: dg.RunRequest | dg.SkipReason) -> str:
    assert isinstance(request, dg.SkipReason), request
    return str(request.skip_message)


def test_one_ranged_run_has_the_session_and_those_of_the_five_before_that_are_not_whole(project: Project) -> None:
    assert span(tick(project, "2024-01-31")) == ("2024-01-24|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ")
    assert project.run("stocks_bars", "2024-01-24|AAPL.NASDAQ", "2024-01-26|MSFT.NASDAQ").success
    request = tick(project, "2024-01-31")
    assert span(request) == ("2024-01-29|AAPL.NASDAQ", "2024-01-31|MSFT.NASDAQ")
    assert isinstance(request, dg.RunRequest)
    assert request.asset_selection == [dg.AssetKey(["stocks", "bars_5_minute_last"])]
    assert project.run("stocks_bars", *span(request)).success
    assert why(tick(project, "2024-01-31")) == "5-MINUTE-LAST: 2024-01-31 and the 5 sessions before it are stored whole."


def test_a_session_whose_tick_comes_twice_has_one_run_key(project: Project) -> None:
    first, again, next_day = tick(project, "2024-01-30"), tick(project, "2024-01-30"), tick(project, "2024-01-31")
    assert isinstance(first, dg.RunRequest)
    assert isinstance(again, dg.RunRequest)
    assert isinstance(next_day, dg.RunRequest)
    assert first.run_key == again.run_key != next_day.run_key


def test_no_run_on_a_holiday_nor_after_the_end_nor_without_files(project: Project) -> None:
    assert "No session of NYSE has ended since 2024-01-12" in why(tick(project, "2024-01-15"))
    assert "2024-02-01 lies after its end, 2024-01-31." in why(tick(project, "2024-02-01"))
    for file in (project.root / "csv").iterdir():
        file.unlink()
    assert "there is no file csv/{instrument}-{bar}.csv" in why(tick(project, "2024-01-31"))


def test_an_instrument_that_is_new_in_the_file_is_loaded_without_reloading_code(project: Project) -> None:
    watchlist = read_watchlist(project.root / "watchlist.yaml")
    (found,) = after_close_schedules(watchlist, [universe_parts(watchlist, "stocks")])
    path = project.root / "watchlist.yaml"
    path.write_text(path.read_text().replace('"MSFT.NASDAQ"]', '"MSFT.NASDAQ", "AMZN.NASDAQ"]'))
    assert span(evaluate(project, found, "2024-01-31")) == ("2024-01-24|AAPL.NASDAQ", "2024-01-31|AMZN.NASDAQ")
    assert "AMZN.NASDAQ" in project.instance.get_dynamic_partitions("stocks_instruments")


def test_sessions_after_an_end_that_moved_wait_for_the_code_to_be_loaded_again(project: Project) -> None:
    watchlist = read_watchlist(project.root / "watchlist.yaml")
    (found,) = after_close_schedules(watchlist, [universe_parts(watchlist, "stocks")])
    path = project.root / "watchlist.yaml"
    path.write_text(path.read_text().replace("end: 2024-01-31", "end: 2024-02-29"))
    assert "2024-02-01 is new in the watchlist: click Reload definitions" in why(evaluate(project, found, "2024-02-01"))
    assert span(tick(project, "2024-02-01")) == ("2024-01-25|AAPL.NASDAQ", "2024-02-01|MSFT.NASDAQ")


def test_a_broken_watchlist_fails_the_tick_with_its_line_and_mended_it_goes_on(project: Project) -> None:
    watchlist = read_watchlist(project.root / "watchlist.yaml")
    (found,) = after_close_schedules(watchlist, [universe_parts(watchlist, "stocks")])
    path = project.root / "watchlist.yaml"
    good = path.read_text()
    path.write_text(good.replace("start: 2024-01-02", "start: 2024-01-32"))
    with pytest.raises(ClearFailure, match=r"watchlist.yaml, line 6: universes.stocks.start"):
        evaluate(project, found, "2024-01-31")
    path.write_text(good)
    assert isinstance(evaluate(project, found, "2024-01-31"), dg.RunRequest)


def test_schedules_are_off_until_somebody_switches_them_on(project: Project) -> None:
    watchlist = read_watchlist(project.root / "watchlist.yaml")
    (found,) = after_close_schedules(watchlist, [universe_parts(watchlist, "stocks")])
    assert (found.name, found.default_status) == ("stocks_after_close", dg.DefaultScheduleStatus.STOPPED)
