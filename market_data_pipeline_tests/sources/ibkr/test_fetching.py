from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage
from market_data_pipeline.domain.errors import ContractUnknown, InvalidBarType, UsageError
from market_data_pipeline.domain.source import NewsKind
from market_data_pipeline.sources.ibkr import IbkrGateway, IbkrSettings, IbkrSource
from market_data_pipeline_tests.gateway import start_gateway
from market_data_pipeline_tests.sources.ibkr.asking import NOW, PAIR, SCALE, asked_for, hear, settings_for, simulated
from market_data_pipeline_tests.sources.ibkr.raw_making import utc_ns

MINUTE = Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
DAY = Series.parse("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL")
DAY_END = 86_400_000_000_000 - 1


@pytest.fixture
def nobody(tmp_path: Path) -> IbkrGateway:
    """A gateway object that would find nobody if it asked."""
    return IbkrGateway(IbkrSettings(port=1, state=tmp_path, pacing_db=str(tmp_path / "pacing.sqlite")))


def test_a_plan_asks_nobody(nobody: IbkrGateway) -> None:
    """January 2024 had 21 sessions of 390 minutes; one request a session at 10 s each (60 in 10 minutes)."""
    with nobody:
        plan = IbkrSource(nobody, MINUTE).plan(asked_for(MINUTE, "2024-01-01", "2024-01-31"))
    assert (plan.requests, plan.sessions, plan.bars, plan.seconds) == (21, 21, 8_190, 210.0)


def test_sessions_before_a_known_head_are_not_planned(nobody: IbkrGateway) -> None:
    with nobody:
        source = IbkrSource(nobody, MINUTE, head_ns=utc_ns("2024-01-17T14:30"))
        assert source.plan(asked_for(MINUTE, "2024-01-01", "2024-01-31")).requests == 11


def test_trades_of_a_stock_are_split_adjusted_and_regular_hours_only(nobody: IbkrGateway) -> None:
    with nobody:
        assert IbkrSource(nobody, MINUTE).provenance.convention == Convention("rth", "split")
        assert IbkrSource(nobody, Series.parse("AAPL.NASDAQ-1-MINUTE-BID-EXTERNAL")).provenance.convention == Convention("rth", "raw")
        assert IbkrSource(nobody, Series.parse("EUR/USD.IDEALPRO-1-DAY-MID-EXTERNAL")).provenance.convention == Convention("all", "raw")
        assert IbkrSource(nobody, Series.parse("ESU4.CME-1-DAY-LAST-EXTERNAL")).provenance.convention == Convention("all", "raw")


@pytest.mark.parametrize(
    ("bar_type", "message"),
    [
        ("EUR/USD.IDEALPRO-1-MINUTE-LAST-EXTERNAL", "Currency pairs have no trades at IBKR"),
        ("AAPL.NASDAQ-6-HOUR-LAST-EXTERNAL", "IBKR has no bars of 6 HOUR"),
        ("AAPL.NASDAQ-2-SECOND-LAST-EXTERNAL", "IBKR has no bars of 2 SECOND"),
    ],
)
def test_bars_that_ibkr_has_not_are_refused_before_anybody_is_asked(nobody: IbkrGateway, bar_type: str, message: str) -> None:
    with nobody, pytest.raises(InvalidBarType, match=message):
        IbkrSource(nobody, Series.parse(bar_type))


def test_a_continuous_future_is_refused_with_the_way_out(nobody: IbkrGateway) -> None:
    with nobody, pytest.raises(UsageError, match=r"continuous future.*ESZ6\.CME"):
        IbkrSource(nobody, Series.parse("ES.CME-1-DAY-LAST-EXTERNAL"))


def test_another_series_than_the_source_is_for_is_refused(nobody: IbkrGateway) -> None:
    with nobody, pytest.raises(UsageError):
        IbkrSource(nobody, DAY).plan(asked_for(MINUTE, "2024-01-02", "2024-01-02"))


def test_an_unknown_contract_ends_the_fetch(tmp_path: Path) -> None:
    series = Series.parse("NOPE.NASDAQ-1-MINUTE-LAST-EXTERNAL")
    with simulated(tmp_path) as (_, gateway), pytest.raises(ContractUnknown, match=r"IBKR lists no contract for NOPE\.NASDAQ"):
        next(iter(IbkrSource(gateway, series).fetch(asked_for(series, "2024-01-02", "2024-01-02"))))


def test_a_month_of_minutes_takes_the_requests_that_were_planned(tmp_path: Path) -> None:
    asked = asked_for(MINUTE, "2024-01-01", "2024-01-31")
    with simulated(tmp_path) as (process, gateway):
        heard = hear(IbkrSource(gateway, MINUTE), asked)
        historical, breaches = process.statistics()["historical"], process.statistics()["breaches"]
    assert (heard.coverage, sum(heard.rows)) == ({"complete": 21}, 8_190)
    assert heard.dates == list(asked.sessions)
    assert (heard.requests, historical["total"]) == (21, 21)
    assert 1 < historical["most_open"] <= 4
    assert breaches["total"] == 0
    left = [one.seconds_left for one in heard.news if one.seconds_left is not None]
    assert left[-1] < max(left)


def test_day_bars_are_stamped_by_date(tmp_path: Path) -> None:
    with simulated(tmp_path) as (_, gateway):
        heard = hear(IbkrSource(gateway, DAY), asked_for(DAY, "2024-01-02", "2024-01-31"))
    assert (heard.rows, heard.requests) == ([1] * 21, 1)
    first = heard.answers[0].bars
    assert (first.ts_event[0], first.ts_init[0]) == (utc_ns("2024-01-02"), utc_ns("2024-01-02") + DAY_END)


def test_todays_session_is_partial_up_to_the_last_closed_bar(tmp_path: Path) -> None:
    """At 15:00:30 New York (19:00:30 UTC in summer) 330 minutes of the session have closed; the 331st is forming."""
    with simulated(tmp_path, "--now", "2024-06-03T19:00:30Z", "--speed", "0") as (_, gateway):
        heard = hear(IbkrSource(gateway, MINUTE), asked_for(MINUTE, "2024-05-31", "2024-06-03"))
    assert [(str(answer.session), str(answer.coverage), len(answer.bars)) for answer in heard.answers] == [
        ("2024-05-31", "complete", 390),
        ("2024-06-03", "partial", 330),
    ]
    assert heard.answers[-1].bars.ts_init[-1] == utc_ns("2024-06-03T19:00")


def test_todays_day_bar_is_not_taken_before_it_has_closed(tmp_path: Path) -> None:
    with simulated(tmp_path, "--now", "2024-06-03T19:00:30Z", "--speed", "0") as (_, gateway):
        heard = hear(IbkrSource(gateway, DAY), asked_for(DAY, "2024-05-31", "2024-06-03"))
    assert [(str(answer.session), str(answer.coverage), len(answer.bars)) for answer in heard.answers] == [
        ("2024-05-31", "complete", 1),
        ("2024-06-03", "partial", 0),
    ]


def test_a_session_that_has_not_begun_is_partial_without_bars(tmp_path: Path) -> None:
    with simulated(tmp_path, "--now", "2024-06-03T10:00Z", "--speed", "0") as (_, gateway):
        heard = hear(IbkrSource(gateway, MINUTE), asked_for(MINUTE, "2024-06-03", "2024-06-03"))
    assert (heard.coverage, heard.rows, heard.requests) == ({"partial": 1}, [0], 0)


def test_currencies_have_no_volume_and_all_hours(tmp_path: Path) -> None:
    """A session of IDEALPRO lasts from 17:15 to 17:00 New York: 95 quarters of an hour."""
    series = Series.parse("EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL")
    with simulated(tmp_path) as (_, gateway):
        heard = hear(IbkrSource(gateway, series), asked_for(series, "2024-01-08", "2024-01-12", PAIR))
    assert (heard.coverage, heard.rows) == ({"complete": 5}, [95] * 5)
    assert set(heard.answers[0].bars.volume.tolist()) == {0}


def test_before_the_head_time_stamp_silence_is_believed_without_asking_day_by_day(tmp_path: Path) -> None:
    """Roblox was listed on 2021-03-10."""
    series = Series.parse("RBLX.NYSE-1-MINUTE-LAST-EXTERNAL")
    with simulated(tmp_path, in_flight=1) as (process, gateway):
        heard = hear(IbkrSource(gateway, series), asked_for(series, "2021-02-25", "2021-03-12"))
        kinds = process.statistics()["requests"]["by_kind"]
    assert [str(answer.session) for answer in heard.answers if answer.coverage is Coverage.COMPLETE] == ["2021-03-10", "2021-03-11", "2021-03-12"]
    assert heard.coverage == {"complete": 3, "empty": 9}
    assert kinds["head"] == 1
    assert kinds["history"] == 4  # the first of them brought nothing
    assert any("from 2021-03-10 on" in message for message in heard.messages(NewsKind.NOTE))


def test_a_known_head_time_stamp_saves_even_the_first_request(tmp_path: Path) -> None:
    series = Series.parse("RBLX.NYSE-1-MINUTE-LAST-EXTERNAL")
    with simulated(tmp_path) as (process, gateway):
        heard = hear(IbkrSource(gateway, series, head_ns=utc_ns("2021-03-10T14:30")), asked_for(series, "2021-02-25", "2021-03-12"))
        kinds = process.statistics()["requests"]["by_kind"]
    assert heard.coverage == {"complete": 3, "empty": 9}
    assert (kinds.get("head", 0), kinds["history"]) == (0, 3)


def test_bars_of_seconds_are_put_together_from_several_requests(tmp_path: Path) -> None:
    """Half an hour a request: 13 for regular hours of 23,400 seconds."""
    series = Series.parse("AAPL.NASDAQ-1-SECOND-LAST-EXTERNAL")
    with simulated(tmp_path) as (_, gateway):
        heard = hear(IbkrSource(gateway, series), asked_for(series, "2024-05-31", "2024-05-31"))
    assert heard.coverage == {"complete": 1}
    assert heard.requests == 13
    bars = heard.answers[0].bars
    assert bars.is_ordered()
    assert (bars.ts_event[0], bars.ts_init[-1]) >= (utc_ns("2024-05-31T13:30"), 0)


@pytest.mark.slow
def test_rules_that_the_gateway_enforces_are_never_broken(tmp_path: Path) -> None:
    """More requests than a window of the rules allows, with the gateway refusing every breach."""
    with start_gateway(tmp_path / "gateway", "--now", NOW, "--pacing-scale", str(SCALE)) as process:
        with IbkrGateway(settings_for(process, tmp_path)) as gateway:
            heard = hear(IbkrSource(gateway, MINUTE), asked_for(MINUTE, "2024-01-01", "2024-04-05"))
        breaches = process.statistics()["breaches"]
    assert breaches["by_rule"] == {}
    assert (heard.coverage, heard.requests) == ({"complete": 66}, 66)


def test_sessions_are_answered_oldest_first_whatever_order_they_were_asked_in(tmp_path: Path) -> None:
    asked = asked_for(MINUTE, "2024-01-02", "2024-01-05")
    shuffled = replace(asked, sessions=list(reversed(asked.sessions)))
    with simulated(tmp_path) as (_, gateway):
        assert hear(IbkrSource(gateway, MINUTE), shuffled).dates == [dt.date(2024, 1, day) for day in (2, 3, 4, 5)]
