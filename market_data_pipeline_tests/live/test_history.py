"""History for a warm-up, from a catalog and a gateway in a process of its own.

What is brought must be what a full load long after gives: `later`.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.domain.errors import ConflictingBars, InvalidBarType
from market_data_pipeline.ingest.load import Stored
from market_data_pipeline.live.bringing import bring
from market_data_pipeline.live.history import History, gather
from market_data_pipeline.live.need import Need, WarmUpSettings, WarmUpSource
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway
from market_data_pipeline_tests.instants import NEW_YORK, ns
from market_data_pipeline_tests.live.conftest import Simulated
from market_data_pipeline_tests.live.warming_up import DAYS, ELEVEN, MINUTES, PAIR, asked_so_far, fill, later, nobody, prints, settings_of, simulated

CATALOG_ONLY = WarmUpSettings(sources=(WarmUpSource.CATALOG,))
IN_MEMORY = WarmUpSettings(store=False)
HASTY = WarmUpSettings(time_limit_s=1.5)
ELEVEN_NS = ns(ELEVEN.replace("T", " ").rstrip("Z"))


def same(history: History, expected: object) -> None:
    fingerprint = expected.fingerprint()  # type: ignore[attr-defined]
    assert (len(history.bars), history.bars.fingerprint()) == (len(expected), fingerprint)  # type: ignore[arg-type]


def rows(catalog: Catalog, series: Series = MINUTES) -> list[tuple[str, int, Coverage]]:
    return [(str(row.session), row.rows, row.coverage) for row in catalog.sessions(series)]


# From nothing, and from everything


@pytest.mark.parametrize("settings", [WarmUpSettings(), IN_MEMORY], ids=["stored", "in memory"])
def test_an_empty_catalog_is_filled_up_to_the_last_closed_bar(
    catalog: Catalog, at_eleven: Simulated, long_after: IbkrGateway, tmp_path: Path, settings: WarmUpSettings
) -> None:
    _, gateway = at_eleven
    history = gather(catalog, lambda: gateway, Need(MINUTES, 260), settings)
    assert (len(history.bars), history.enough, history.reasons) == (312, True, ())
    assert (history.from_catalog, history.from_source, history.requests) == (0, 312, 2)
    assert history.until_ns == ELEVEN_NS
    assert int(history.bars.ts_init[-1]) == ns("2024-01-11 11:00", NEW_YORK)
    assert history.bars.is_ordered()
    same(history, later(tmp_path / "after", long_after, MINUTES, "2024-01-08", history))
    stored = [("2024-01-10", 390, Coverage.COMPLETE), ("2024-01-11", 90, Coverage.PARTIAL)] if settings.store else []
    assert rows(catalog) == stored
    assert catalog.root.exists() is settings.store


def test_it_needs_no_catalog(at_eleven: Simulated, long_after: IbkrGateway, tmp_path: Path) -> None:
    _, gateway = at_eleven
    history = gather(None, lambda: gateway, Need(MINUTES, 260), WarmUpSettings())
    assert (len(history.bars), history.requests) == (312, 2)
    same(history, later(tmp_path / "after", long_after, MINUTES, "2024-01-08", history))


def test_what_was_asked_in_this_minute_is_not_asked_again(catalog: Catalog, at_eleven: Simulated) -> None:
    process, gateway = at_eleven
    first = gather(catalog, lambda: gateway, Need(MINUTES, 260), WarmUpSettings())
    asked = asked_so_far(process)
    again = gather(catalog, lambda: gateway, Need(MINUTES, 260), WarmUpSettings(), now_ns=ELEVEN_NS)
    assert (again.from_catalog, again.requests, asked_so_far(process)) == (312, 0, asked)
    same(again, first.bars)


def test_a_whole_catalog_after_the_close_asks_nobody(catalog: Catalog, long_after: IbkrGateway, tmp_path: Path) -> None:
    """All of Thursday's regular session is stored, and it is 16:30, Saturday, or the moment before the next open."""
    fill(catalog.root, long_after, MINUTES, "2024-01-09", "2024-01-12")
    for moment in ("2024-01-12 16:00", "2024-01-12 18:30", "2024-01-13 12:00", "2024-01-15 12:00", "2024-01-16 09:30:59"):
        with nobody(tmp_path / moment) as gateway:
            history = gather(catalog, lambda gateway=gateway: gateway, Need(MINUTES, 260), HASTY, now_ns=ns(moment, NEW_YORK))  # type: ignore[misc]
        assert (history.from_catalog, history.requests, history.reasons) == (312, 0, ()), moment
        assert int(history.bars.ts_init[-1]) == ns("2024-01-12 16:00", NEW_YORK)


def test_bars_that_lie_ahead_of_now_are_not_history(catalog: Catalog, long_after: IbkrGateway) -> None:
    """A replay of a past morning, over a catalog that holds the afternoon too."""
    fill(catalog.root, long_after, MINUTES, "2024-01-09", "2024-01-12")
    history = gather(catalog, None, Need(MINUTES, 260), CATALOG_ONLY, now_ns=ELEVEN_NS)
    assert (len(history.bars), int(history.bars.ts_init[-1]), history.reasons) == (312, ns("2024-01-11 11:00", NEW_YORK), ())


def test_nautilus_gets_its_own_bars(catalog: Catalog, at_eleven: Simulated) -> None:
    _, gateway = at_eleven
    history = gather(catalog, lambda: gateway, Need(MINUTES, 10), WarmUpSettings())
    bars = history.nautilus_bars()
    assert [bar.ts_event for bar in bars] == history.bars.ts_event.tolist()
    assert str(bars[-1].bar_type) == MINUTES.bar_type


# Holes


def test_a_partial_session_and_a_hole_are_filled_and_nothing_else_is_asked(
    catalog: Catalog, at_eleven: Simulated, long_after: IbkrGateway, tmp_path: Path
) -> None:
    """Stored are Monday and Tuesday, the morning of Wednesday up to 10:00, and nothing of Thursday."""
    process, gateway = at_eleven
    fill(catalog.root, long_after, MINUTES, "2024-01-08", "2024-01-09")
    with simulated(tmp_path / "wednesday", now="2024-01-10T15:00:10Z") as (_, before):
        fill(catalog.root, before, MINUTES, "2024-01-10")
    assert rows(catalog)[-1] == ("2024-01-10", 30, Coverage.PARTIAL)
    asked = asked_so_far(process)
    history = gather(catalog, lambda: gateway, Need(MINUTES, 500), WarmUpSettings())
    assert (len(history.bars), history.from_catalog, history.from_source) == (600, 120, 480)
    assert (history.requests, asked_so_far(process) - asked) == (2, 2)
    same(history, later(tmp_path / "after", long_after, MINUTES, "2024-01-08", history))


def test_a_hole_that_nobody_may_fill_makes_everything_before_it_useless(catalog: Catalog, long_after: IbkrGateway) -> None:
    fill(catalog.root, long_after, MINUTES, "2024-01-08", "2024-01-08")
    fill(catalog.root, long_after, MINUTES, "2024-01-10", "2024-01-10")
    evening = ns("2024-01-10 18:00", NEW_YORK)
    history = gather(catalog, None, Need(MINUTES, 500), CATALOG_ONLY, now_ns=evening)
    assert (len(history.bars), history.enough) == (390, False)
    assert int(history.bars.ts_event[0]) == ns("2024-01-10 09:30", NEW_YORK)
    (reason,) = history.reasons
    assert "A hole of 390 bars between 2024-01-09 14:30 UTC and 2024-01-09 21:00 UTC" in reason
    assert "mdp load AAPL.NASDAQ 1-MINUTE-LAST --mode full --start 2024-01-09" in reason


def test_bars_that_should_have_closed_since_the_last_stored_one_are_a_hole_too(catalog: Catalog, long_after: IbkrGateway) -> None:
    fill(catalog.root, long_after, MINUTES, "2024-01-08", "2024-01-10")
    history = gather(catalog, None, Need(MINUTES, 260), CATALOG_ONLY, now_ns=ELEVEN_NS)
    assert len(history.bars) == 0
    assert "A hole of 90 bars between 2024-01-11 14:30 UTC and 2024-01-11 16:00:30 UTC" in history.reasons[0]
    assert "Allow the source ibkr" in history.reasons[0]


def test_nothing_newer_than_a_session_that_is_refused_is_lost(catalog: Catalog, tmp_path: Path) -> None:
    """Sessions are asked for oldest first; the first request is refused for good."""
    with simulated(tmp_path, "--fault", "history:1=no-permission", in_flight=1) as (_, gateway):
        history = gather(catalog, lambda: gateway, Need(MINUTES, 260), WarmUpSettings())
    assert (len(history.bars), history.enough) == (90, False)
    assert history.reasons[0].startswith("2024-01-10 could not be had")
    assert history.reasons[1].startswith("390 bars between 2024-01-10 14:30 UTC and 2024-01-10 21:00 UTC")


def test_a_file_that_cannot_be_trusted_is_a_hole(catalog: Catalog, long_after: IbkrGateway) -> None:
    fill(catalog.root, long_after, MINUTES, "2024-01-09", "2024-01-12")
    (file,) = [row.file for row in catalog.sessions(MINUTES) if str(row.session) == "2024-01-11"]
    path = catalog.layout.series_folder(MINUTES) / file
    content = path.read_bytes()
    path.write_bytes(content[:200] + b"torn" + content[204:300])
    history = gather(catalog, None, Need(MINUTES, 500), CATALOG_ONLY, now_ns=ns("2024-01-12 18:00", NEW_YORK))
    assert len(history.bars) == 390
    assert any("mdp catalog verify" in reason for reason in history.reasons)


# Gateways that are not there


def test_no_gateway_and_nothing_stored_is_told_with_the_reason(catalog: Catalog, tmp_path: Path) -> None:
    told: list[str] = []
    with nobody(tmp_path) as gateway:
        history = gather(catalog, lambda: gateway, Need(MINUTES, 260), HASTY, now_ns=ELEVEN_NS, tell=told.append)
    assert (len(history.bars), history.enough, history.until_ns) == (0, False, ELEVEN_NS)
    assert "No IB Gateway listens at 127.0.0.1" in history.reasons[0]
    assert "Trying again in 1 s" in told[0]
    assert not catalog.root.exists()


def test_a_gateway_that_is_down_costs_no_time_where_the_catalog_is_enough_without_the_buffer(
    catalog: Catalog, long_after: IbkrGateway, tmp_path: Path
) -> None:
    """390 bars are stored, 300 needed, and 600 wanted."""
    fill(catalog.root, long_after, MINUTES, "2024-01-10", "2024-01-10")
    evening = ns("2024-01-10 18:00", NEW_YORK)
    started = time.monotonic()
    with nobody(tmp_path) as gateway:
        history = gather(catalog, lambda: gateway, Need(MINUTES, 300), WarmUpSettings(buffer=2), now_ns=evening)
    assert time.monotonic() - started < 60  # the time limit is 300 s
    assert (len(history.bars), history.enough) == (390, True)
    assert "No IB Gateway listens" in history.reasons[0]


def test_a_gateway_that_comes_up_meanwhile_is_asked(catalog: Catalog, tmp_path: Path) -> None:
    with nobody(tmp_path / "down") as dead, simulated(tmp_path / "up") as (_, gateway):
        gateways = [dead, gateway]
        told: list[str] = []
        history = gather(catalog, lambda: gateways.pop(0), Need(MINUTES, 260), WarmUpSettings(), tell=told.append)
    assert (len(history.bars), history.reasons) == (312, ())
    assert "Trying again" in told[0]


def test_a_gateway_that_restarts_during_the_tail_is_asked_for_the_rest(catalog: Catalog, long_after: IbkrGateway, tmp_path: Path) -> None:
    with simulated(tmp_path, "--fault", "history:3=restart:0.5", in_flight=1, reconnect_s=30.0, wait_scale=0.1) as (_, gateway):
        history = gather(catalog, lambda: gateway, Need(MINUTES, 800), WarmUpSettings())
    assert (len(history.bars), history.reasons) == (960, ())
    same(history, later(tmp_path / "after", long_after, MINUTES, "2024-01-08", history))


def test_a_gateway_that_dies_during_the_tail_leaves_what_it_gave(catalog: Catalog, tmp_path: Path) -> None:
    """Wednesday is stored when it dies; the tail is missing, so nothing can be used."""
    with simulated(tmp_path, "--latency", "0.3", in_flight=1) as (process, gateway):
        steps = bring(catalog, lambda: gateway, Need(MINUTES, 260), WarmUpSettings())
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                history: History = end.value
                break
            if isinstance(event, Stored):
                process.process.kill()
                process.process.wait()
    assert rows(catalog) == [("2024-01-10", 390, Coverage.COMPLETE)]
    assert (len(history.bars), history.enough) == (0, False)
    assert "was lost and did not come back" in history.reasons[0]
    assert "A hole of 90 bars" in history.reasons[1]


def test_a_wait_for_the_rate_ends_with_the_time_limit(catalog: Catalog, tmp_path: Path) -> None:
    """One request in ten minutes: the second would wait for them."""
    slow = "small_bars: {requests: 1, window_s: 600}\ndelay_share: 0\n"
    started = time.monotonic()
    with simulated(tmp_path) as (process, _), IbkrGateway(settings_of(tmp_path / "slow", process.port, slow)) as gateway:
        history = gather(catalog, lambda: gateway, Need(MINUTES, 260), WarmUpSettings(time_limit_s=3))
        assert time.monotonic() - started < 60
        assert "The time limit of 3 s is over" in history.reasons[0]
        assert rows(catalog) == [("2024-01-10", 390, Coverage.COMPLETE)]
        assert gateway.now_ns() == ELEVEN_NS  # it can still be asked


def test_a_node_that_stops_waits_for_nobody(catalog: Catalog, tmp_path: Path) -> None:
    stop = threading.Event()
    started = time.monotonic()
    with nobody(tmp_path) as gateway:
        history = gather(catalog, lambda: gateway, Need(MINUTES, 260), WarmUpSettings(), now_ns=ELEVEN_NS, tell=lambda _: stop.set(), stop=stop)
    assert time.monotonic() - started < 60
    assert len(history.bars) == 0


# Nothing written


def test_in_memory_leaves_the_catalog_byte_for_byte(catalog: Catalog, at_eleven: Simulated, long_after: IbkrGateway, tmp_path: Path) -> None:
    _, gateway = at_eleven
    fill(catalog.root, long_after, MINUTES, "2024-01-08", "2024-01-09").ledger.close()
    before = prints(catalog.root)
    history = gather(catalog, lambda: gateway, Need(MINUTES, 500), IN_MEMORY)
    catalog.ledger.close()
    assert prints(catalog.root) == before
    assert (history.from_catalog, history.from_source) == (120, 480)
    same(history, later(tmp_path / "after", long_after, MINUTES, "2024-01-08", history))


def test_where_nothing_can_be_stored_the_strategy_is_warmed_up_all_the_same(at_eleven: Simulated, tmp_path: Path) -> None:
    _, gateway = at_eleven
    root = tmp_path / "catalog"
    root.mkdir()
    (root / "data").write_text("a file where a folder should be")
    told: list[str] = []
    history = gather(Catalog.open(root), lambda: gateway, Need(MINUTES, 260), WarmUpSettings(), tell=told.append)
    assert (len(history.bars), history.enough) == (312, True)
    assert told


# Other series


def test_day_bars_of_a_year_and_more(catalog: Catalog, at_eleven: Simulated, long_after: IbkrGateway, tmp_path: Path) -> None:
    """At 11:00 the day is forming: the newest of 312 bars is Wednesday's."""
    _, gateway = at_eleven
    history = gather(catalog, lambda: gateway, Need(DAYS, 260), WarmUpSettings())
    assert (len(history.bars), history.reasons) == (312, ())
    assert int(history.bars.ts_event[-1]) == ns("2024-01-10 00:00")
    same(history, later(tmp_path / "after", long_after, DAYS, "2022-09-01", history))


def test_a_day_bar_counts_once_its_session_has_closed(catalog: Catalog, tmp_path: Path) -> None:
    with simulated(tmp_path, now="2024-01-11T21:00:31Z") as (_, gateway):
        history = gather(catalog, lambda: gateway, Need(DAYS, 5), WarmUpSettings())
    assert int(history.bars.ts_event[-1]) == ns("2024-01-11 00:00")
    assert history.until_ns == int(history.bars.ts_init[-1]) == ns("2024-01-12 00:00") - 1


@pytest.mark.parametrize(
    ("now", "newest", "requests"),
    [
        ("2024-01-11T22:07:00Z", "2024-01-11 17:00", 1),  # in the pause
        ("2024-01-11T22:29:59Z", "2024-01-11 17:00", 1),  # the first bar after it is forming
        ("2024-01-11T22:30:00Z", "2024-01-11 17:30", 1),
        ("2024-01-13T12:00:00Z", "2024-01-12 17:00", 1),  # the weekend
        ("2024-01-14T22:45:00Z", "2024-01-14 17:45", 1),
    ],
)
def test_currencies_over_their_pause_and_the_weekend(
    catalog: Catalog, long_after: IbkrGateway, tmp_path: Path, now: str, newest: str, requests: int
) -> None:
    with simulated(tmp_path, now=now) as (process, gateway):
        history = gather(catalog, lambda: gateway, Need(PAIR, 260), WarmUpSettings())
        assert (len(history.bars), history.requests, asked_so_far(process)) == (312, requests, requests)
    assert int(history.bars.ts_init[-1]) == ns(newest, NEW_YORK)
    same(history, later(tmp_path / "after", long_after, PAIR, "2024-01-03", history))


def test_a_half_day_and_the_holiday_before_it(catalog: Catalog, tmp_path: Path) -> None:
    """The day after Thanksgiving closes at 13:00; at 12:00:10 there are 150 minutes of it."""
    with simulated(tmp_path, now="2024-11-29T17:00:10Z") as (_, gateway):
        history = gather(catalog, lambda: gateway, Need(MINUTES, 260), WarmUpSettings())
    assert (len(history.bars), history.requests) == (312, 2)
    days = np.unique(history.bars.ts_event.astype("datetime64[ns]").astype("datetime64[D]")).astype(str).tolist()
    assert days == ["2024-11-27", "2024-11-29"]


_THIN = """stocks:
  - {symbol: THIN, name: Thin Inc, price: 20, primary_exchange: NASDAQ, listed: 2010-01-04, trades_per_minute: 0.05, extended_trades_per_minute: 0}
  - {symbol: FRESH, name: Fresh Inc, price: 20, primary_exchange: NASDAQ, listed: 2024-01-10}
"""


def test_a_thin_series_is_no_hole_and_reaches_further_back(catalog: Catalog, tmp_path: Path) -> None:
    """Something trades in about 19 of 390 minutes (1 - e^-0.05): 120 bars take six sessions or so."""
    contracts = tmp_path / "contracts.yaml"
    contracts.write_text(_THIN)
    thin = Series.of("THIN.NASDAQ", "1-MINUTE-LAST")
    with simulated(tmp_path, "--contracts", str(contracts)) as (_, gateway):
        history = gather(catalog, lambda: gateway, Need(thin, 100), WarmUpSettings())
        assert (len(history.bars), history.enough, history.reasons) == (120, True, ())
        assert 4 <= len(catalog.sessions(thin)) <= 14
        few = gather(catalog, lambda: gateway, Need(thin, 5_000), WarmUpSettings(lookback_sessions=20))
    assert not few.enough
    assert 200 < len(few.bars) < 600
    assert "20 sessions back, as far as this warm-up may go" in few.reasons[-1]


def test_a_share_that_was_listed_yesterday_has_no_older_bars(catalog: Catalog, tmp_path: Path) -> None:
    contracts = tmp_path / "contracts.yaml"
    contracts.write_text(_THIN)
    fresh = Series.of("FRESH.NASDAQ", "1-MINUTE-LAST")
    with simulated(tmp_path, "--contracts", str(contracts)) as (_, gateway):
        history = gather(catalog, lambda: gateway, Need(fresh, 1_000), WarmUpSettings())  # 1,200 with the buffer: the first guess is four sessions
    assert len(history.bars) == 480
    (reason,) = history.reasons
    assert reason.startswith("IBKR has no older bars: none from 2024-01-08 to 2024-01-09")
    assert len(catalog.sessions(fresh)) == 4


# What cannot be meant


def test_bars_that_the_broker_has_not_are_refused(catalog: Catalog, at_eleven: Simulated) -> None:
    _, gateway = at_eleven
    for instrument, spec, words in (
        ("AAPL.NASDAQ", "6-MINUTE-LAST", "IBKR has no bars of 6 MINUTE"),
        ("EUR/USD.IDEALPRO", "1-MINUTE-LAST", "no LAST bars"),
    ):
        with pytest.raises(InvalidBarType, match=words):
            gather(catalog, lambda: gateway, Need(Series.of(instrument, spec), 10), WarmUpSettings())


def test_other_hours_than_those_stored_are_refused(catalog: Catalog, long_after: IbkrGateway) -> None:
    fill(catalog.root, long_after, MINUTES, "2024-01-09", "2024-01-09", Hours.ALL)
    with pytest.raises(ConflictingBars, match="is stored with all hours, and rth hours are asked for"):
        gather(catalog, None, Need(MINUTES, 10), WarmUpSettings(), hours=Hours.RTH)
    evening = ns("2024-01-09 21:00", NEW_YORK)
    history = gather(catalog, None, Need(MINUTES, 100), WarmUpSettings(), now_ns=evening)
    # The evening is thin, but all of it was asked for.
    assert (len(history.bars), history.reasons) == (120, ())


def test_prices_of_another_kind_are_not_mixed_in(catalog: Catalog, at_eleven: Simulated, tmp_path: Path) -> None:
    """A real account's gateway (its number begins with DU) after bars of the simulator."""
    _, gateway = at_eleven
    gather(catalog, lambda: gateway, Need(MINUTES, 10), WarmUpSettings())
    for number, settings in enumerate((WarmUpSettings(), IN_MEMORY)):
        with simulated(tmp_path / str(number), "--account", "DU1234567", now="2024-01-12T16:00:30Z") as (_, other):
            history = gather(catalog, lambda other=other: other, Need(MINUTES, 260), settings)  # type: ignore[misc]
        assert len(history.bars) == 0
        assert any("they are never mixed" in reason for reason in history.reasons)
    assert max(row.session for row in catalog.sessions(MINUTES)) == dt.date(2024, 1, 11)


def test_sessions_without_trades_in_the_middle_are_not_the_beginning_of_the_data(catalog: Catalog, long_after: IbkrGateway, tmp_path: Path) -> None:
    """What the gateway has lost for ever it answers as empty; bars before it are stored, and 25 days are gone since."""
    fill(catalog.root, long_after, MINUTES, "2023-12-13", "2023-12-13")
    with simulated(tmp_path, "--fault", "history:*=lost:2023-12-14,2023-12-15", now="2023-12-29T22:00:00Z") as (_, gateway):
        fill(catalog.root, long_after, MINUTES, "2023-12-18", "2023-12-29")
        history = gather(catalog, lambda: gateway, Need(MINUTES, 3_800), WarmUpSettings(buffer=1))
    assert [coverage for date, _, coverage in rows(catalog) if date in ("2023-12-14", "2023-12-15")] == [Coverage.EMPTY] * 2
    assert (len(history.bars), history.reasons) == (3_800, ())
    assert int(history.bars.ts_event[0]) < ns("2023-12-14 00:00")
