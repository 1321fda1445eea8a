"""The morning test: three trading days pass around Thanksgiving 2024, with everything that runs by itself switched on and no hand on it.

| New York | what happens |
|---|---|
| Wednesday 27 November | all is well: the history is loaded, and the session after its close |
| Thursday 28 November | a holiday |
| Friday 29 November | an early close at 13:00; the gateway has died at 12:50 and is back at 13:32, and has lost this session of NVDA |
| Monday 2 December | that session is back at noon; this one of NVDA is lost until 16:40 |

Sessions and closes: NYSE holidays and trading hours 2024.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ib_async import Stock
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline_tests.acceptance.trading_days import TradingDays, trading_days
from market_data_pipeline_tests.browser import Browser
from market_data_pipeline_tests.gateway import start_gateway
from market_data_pipeline_tests.gateway_simulator.ib_async_client import run, session
from market_data_pipeline_tests.instants import NEW_YORK
from market_data_pipeline_tests.wall_clock import WallClock

TEN = ("AAPL.NASDAQ", "MSFT.NASDAQ", "GOOGL.NASDAQ", "AMZN.NASDAQ", "NVDA.NASDAQ", "TSLA.NASDAQ", "META.NASDAQ", "QQQ.NASDAQ", "SPY.ARCA", "IBM.NYSE")
HURT = "NVDA.NASDAQ"
MINUTES = {"2024-11-25": 390, "2024-11-26": 390, "2024-11-27": 390, "2024-11-29": 210, "2024-12-02": 390}
LOST = ("2024-11-29", "2024-12-02")
ASSET = "us_equities/bars_1_minute_last"
SCHEDULES = ("us_equities_after_close",)
WATCHLIST = f"""
universes:
  us_equities:
    calendar: NYSE
    start: 2024-11-25
    bars: ["1-MINUTE-LAST"]
    instruments: {json.dumps(TEN)}
    source: ibkr
    hours: rth
"""
SCENARIO = """
faults:
  - {kind: history, contract: NVDA, do: lost, sessions: [2024-11-29], until: 2024-12-02T17:00Z}
  - {kind: history, contract: NVDA, do: lost, sessions: [2024-12-02], until: 2024-12-02T21:40Z}
"""
_MATERIALIZATIONS = """query($path: [String!]!) { assetOrError(assetKey: {path: $path}) { ... on Asset { assetMaterializations(limit: 500) {
  partition metadataEntries { label ... on TextMetadataEntry { text } ... on IntMetadataEntry { intValue } } } } } }"""


def new_york(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(NEW_YORK)).astimezone(dt.UTC)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_three_trading_days_with_a_dead_gateway_and_lost_sessions_end_complete_and_the_page_tells(tmp_path: Path) -> None:
    if WallClock.installed() is None:
        pytest.skip("no libfaketime (apt install faketime): this test lets days pass for real processes")
    clock = WallClock(tmp_path, new_york("2024-11-27 15:50"))
    with trading_days(tmp_path, clock, WATCHLIST, SCENARIO) as days:
        play(days)
        every_session_is_complete(tmp_path)
        nothing_was_asked_for_in_vain(days)
        every_session_was_shown_once(days)
        availability_is_up_to_date(days)
        ticks_say_why(days)
        failures_say_why_and_are_told_once(days)
        the_page_shows_it(days, tmp_path)
    the_files_hold_what_the_gateway_serves_when_it_is_well(tmp_path)


# What happens


def play(days: TradingDays) -> None:
    """Let the three days pass."""
    days.start_gateway()
    # One run for ten instruments; there is nothing left to load for the watchlist then.
    days.switch_on(["gap_filler"], SCHEDULES)
    days.rest(days.clock.now())
    days.switch_on(["watchlist_loads"], [])
    close(days, "2024-11-27 16:15")
    pass_by(days, "2024-11-27 16:20", "2024-11-27 18:00")

    holiday(days, "2024-11-28 16:15")

    pass_by(days, "2024-11-29 12:50")
    days.kill_gateway()
    close(days, "2024-11-29 13:15")
    pass_by(days, "2024-11-29 13:20", "2024-11-29 13:26", "2024-11-29 13:32")
    days.start_gateway()
    # The gap filler looks at the gateway again; then it asks for what that has lost, three times.
    pass_by(days, *(f"2024-11-29 13:{minute}" for minute in (38, 44, 50, 56)), "2024-11-29 14:20")

    pass_by(days, "2024-12-02 10:00")
    close(days, "2024-12-02 16:15")
    pass_by(days, *(f"2024-12-02 16:{minute}" for minute in (21, 41, 47)))
    pass_by(days, "2024-12-02 18:00", "2024-12-02 18:10", "2024-12-02 18:20")


def pass_by(days: TradingDays, *moments: str) -> None:
    for moment in moments:
        days.jump(new_york(moment))


def close(days: TradingDays, moment: str) -> None:
    """Let the minute come at which a session is loaded, and its run end."""
    due = new_york(moment)
    days.jump(due - dt.timedelta(minutes=1))
    days.wait_for(due)
    days.wait_for_run("us_equities_bars", due)


def holiday(days: TradingDays, moment: str) -> None:
    """Let a minute come at which the schedule would load a session if there were one."""
    due = new_york(moment)
    days.jump(due - dt.timedelta(minutes=1))
    days.wait_for(due)
    days.wait_for_tick(SCHEDULES[0], due)


# What stands afterwards


def every_session_is_complete(root: Path) -> None:
    catalog = Catalog.open(root / "catalog")
    expected = dict.fromkeys(map(dt.date.fromisoformat, MINUTES), Coverage.COMPLETE)
    for name in TEN:
        series = Series.of(name, "1-MINUTE-LAST")
        assert catalog.coverage(series, dt.date(2024, 11, 25), dt.date(2024, 12, 2)) == expected, name
        assert [row.rows for row in catalog.sessions(series)] == list(MINUTES.values()), name


def the_files_hold_what_the_gateway_serves_when_it_is_well(root: Path) -> None:
    """Row by row: the files as Nautilus reads them, and the answers as ib_async reads them."""
    stored = ParquetDataCatalog(str(root / "catalog"))
    with start_gateway(root / "well", "--no-pacing", "--now", "2024-12-03T15:00Z") as gateway:
        for name in TEN:
            bars = [
                (bar.ts_event, str(bar.open), str(bar.high), str(bar.low), str(bar.close), str(bar.volume))
                for bar in stored.bars(bar_types=[f"{name}-1-MINUTE-LAST-EXTERNAL"])
            ]
            assert bars == list(served(gateway, name)), name


def served(gateway: Any, name: str) -> Iterator[tuple[int, str, str, str, str, str]]:
    """Yield the minutes of a stock's five sessions, stamped at their open."""
    symbol, _, exchange = name.partition(".")

    async def ask() -> list[Any]:
        async with session(gateway) as opened:
            return await opened.bars(Stock(symbol, "SMART", "USD", primaryExchange=exchange), end="20241202-21:00:00", duration="5 D")

    for bar in run(ask()):
        prices = [f"{price:.2f}" for price in (bar.open, bar.high, bar.low, bar.close)]
        yield round(bar.date.timestamp()) * 10**9, prices[0], prices[1], prices[2], prices[3], f"{bar.volume:.0f}"


def nothing_was_asked_for_in_vain(days: TradingDays) -> None:
    """One request a session; more only for what was lost, and at most three a try: the answer "nothing" is heard twice or three times."""
    statistics = [gateway.statistics() for gateway in days.gateways]
    assert [one["breaches"]["total"] for one in statistics] == [0, 0]
    asked = Counter((one["contract"].split()[0], one["end"]) for each in statistics for one in each["recent"] if one["kind"] == "history")
    of_others = {question: times for question, times in asked.items() if question[0] != "NVDA"}
    assert set(of_others.values()) == {1}
    assert len(of_others) == 9 * len(MINUTES)
    whole: list[int] = []
    lost: list[int] = []
    for (symbol, end), times in asked.items():
        if symbol == "NVDA":
            (lost if f"{end[:4]}-{end[4:6]}-{end[6:8]}" in LOST else whole).append(times)
    assert whole == [1, 1, 1]
    tries_of_friday, tries_of_monday = 5, 3
    assert sum(lost) <= 3 * (tries_of_friday + tries_of_monday)


def materializations(days: TradingDays, asset: str) -> list[tuple[str, dict[str, Any]]]:
    """Return partition and metadata of all materialisations of an asset, oldest first."""
    found = days.page.ask(_MATERIALIZATIONS, {"path": asset.split("/")})["assetOrError"]["assetMaterializations"]
    return [(one["partition"], {entry["label"]: entry.get("text", entry.get("intValue")) for entry in one["metadataEntries"]}) for one in found[::-1]]


def every_session_was_shown_once(days: TradingDays) -> None:
    """A session that a later run found stored may be shown again, as that. Nothing was stored outside of a run."""
    shown = materializations(days, ASSET)
    stored = [partition for partition, facts in shown if facts["outcome"] == "stored now"]
    assert sorted(stored) == sorted(f"{date}|{name}" for date in MINUTES for name in TEN)
    assert {facts["outcome"] for _, facts in shown} <= {"stored now", "stored before"}


def availability_is_up_to_date(days: TradingDays) -> None:
    newest = dict(materializations(days, "us_equities/availability"))
    assert set(newest) == set(TEN)
    assert {name: (facts["dagster/row_count"], facts["sessions_in_gaps"]) for name, facts in newest.items()} == dict.fromkeys(
        TEN, (sum(MINUTES.values()), 0)
    )
    assert days.ticks("refresh")[-1].said == "Availability, backtests and derived bars are up to date with the bars of 10 series."


# What the page tells


def ticks_say_why(days: TradingDays) -> None:
    after_close = [(tick.at, len(tick.runs)) for tick in days.ticks(SCHEDULES[0]) if tick.runs]
    assert after_close == [(new_york(text), 1) for text in ("2024-11-27 16:15", "2024-11-29 13:15", "2024-12-02 16:15")]
    skipped = {tick.at: tick.said for tick in days.ticks(SCHEDULES[0]) if not tick.runs}
    holiday = skipped[new_york("2024-11-28 16:15")]
    assert holiday.startswith("1-MINUTE-LAST: No session of NYSE has ended since 2024-11-27"), holiday
    assert "the next one is 2024-11-29 (loaded from 2024-11-29 13:15 EST)" in holiday

    filler = days.ticks("gap_filler")
    assert {tick.status for tick in filler} == {"SUCCESS", "SKIPPED"}
    friday = [tick.said for tick in filler if tick.at.date() == dt.date(2024, 11, 29)]
    place = f"gateway at 127.0.0.1:{days.port}"
    assert sum(f"10 sessions missing: nothing started; {place} does not answer, looking again at 18:" in said for said in friday) >= 1, friday
    assert any(f"1 session could not be had 3 times or more ({HURT} 2024-11-29), trying again from 2024-11-30" in said for said in friday), friday
    assert filler[-1].said == "all complete."
    launched = [tick.at.date() for tick in filler if tick.runs]
    # Three tries. Under load a fourth was seen: a run that meets the gateway before it answers has asked for nothing, which is no try.
    assert Counter(launched)[dt.date(2024, 11, 29)] in (3, 4), filler


def failures_say_why_and_are_told_once(days: TradingDays) -> None:
    runs = days.runs()
    failed = [one for one in runs if one["status"] == "FAILURE"]
    assert {one["jobName"] for one in failed} == {"us_equities_bars"}
    assert [one["status"] for one in runs if one["jobName"] == "us_equities_bars"][-1] == "SUCCESS"
    notices = [json.loads(line) for line in (days.root / "notifications.jsonl").read_text().splitlines()]
    assert max(Counter(notice["key"] for notice in notices).values()) == 1
    told = {notice["run_id"]: notice["error"] for notice in notices if notice["kind"] == "run_failed"}
    assert set(told) == {one["runId"] for one in failed}
    dead, *lost = (told[one["runId"]] for one in failed)
    assert dead.count("\n") == 0
    assert f"SourceUnavailable: No IB Gateway listens at 127.0.0.1:{days.port}." in dead
    for error in lost:
        # One session of ten instruments, or the one that is missing: whichever of the schedule and the gap filler launched the run.
        assert re.search(r"\b1 of (1 session|[0-9]+ sessions) could not be had; ", error), error
        assert f"{HURT} 2024-" in error
        assert "it has lost them, most likely for a while" in error
    gaps = [(notice["series"], notice["first"], notice["last"]) for notice in notices if notice["kind"] == "new_gap"]
    assert gaps == [(f"{HURT}-1-MINUTE-LAST-EXTERNAL", "2024-11-29", "2024-11-29")]


def the_page_shows_it(days: TradingDays, folder: Path) -> None:
    """In a browser, where there is one; its clock is that of the page."""
    program = Browser.installed()
    if program is None:
        return
    with Browser(program) as browser:
        browser.set_clock(days.clock.now().timestamp() - time.time())
        browser.goto(f"{days.page.url}/runs")
        browser.wait_for_text("us_equities_bars", 60)
        browser.screenshot(folder / "runs.png")
        browser.goto(f"{days.page.url}/locations/market_data_pipeline/sensors/gap_filler")
        # The newest tick at the top, its status and its result in the table: the last opens what the tick said.
        nothing = "[...document.querySelectorAll('*')].filter(one => !one.children.length && one.innerText === '0 runs requested')"
        browser.wait_until(f"{nothing}.length > 2", 60)
        browser.evaluate(f"{nothing}[2].click()")
        browser.wait_for_text("all complete.", 60)
        browser.screenshot(folder / "gap-filler.png")
        browser.goto(f"{days.page.url}/assets/{ASSET}?view=partitions")
        browser.wait_for_text("Materialized (50)", 60)
        browser.screenshot(folder / "partitions.png")
