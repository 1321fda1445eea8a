"""`mdp warmup` against a gateway where it is 11:00:30 in New York on Thursday, 11 January 2024: 90 minutes of the session have closed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.load import HoursChoice
from market_data_pipeline_tests.cli.conftest import Mdp, requests_for_bars
from market_data_pipeline_tests.cli.stored import MINUTES, stored_sessions
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway

AAPL = ("AAPL.NASDAQ", "1-MINUTE-LAST")


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with start_gateway(tmp_path_factory.mktemp("gateway"), "--no-pacing", "--now", "2024-01-11T16:00:30Z", "--speed", "0") as gateway:
        yield gateway


def test_the_choices_are_those_of_the_use_case() -> None:
    from market_data_pipeline.sources.ibkr import Hours

    assert [str(one) for one in Hours] == [*get_args(HoursChoice)]


def test_a_dry_run_says_what_would_be_asked_and_stores_nothing(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    asked = requests_for_bars(gateway)
    ended = mdp("warmup", *AAPL, "--bars", "260", "--catalog", root)
    assert ended.code == 0
    assert "AAPL.NASDAQ 1-MINUTE-LAST: ready once what is missing was asked for: 312 of 312 bars (260 needed), rth hours" in ended.out
    assert "would be asked: 2 requests for 2 sessions (2024-01-10, 2024-01-11), at most 480 bars" in ended.out
    assert "waits for 260 bars, 4 h 20 min of trading, at least until 2024-01-11 20:20:00 UTC" in ended.out
    assert f"next: mdp warmup AAPL.NASDAQ 1-MINUTE-LAST --bars 260 --catalog {root} --load" in ended.out
    assert requests_for_bars(gateway) == asked
    assert not root.exists()


def test_once_loaded_the_catalog_alone_is_enough(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    line = ("warmup", *AAPL, "--bars", "260", "--catalog", root)
    asked = requests_for_bars(gateway)
    ended = mdp(*line, "--load")
    assert ended.code == 0
    assert "ready: 312 of 312 bars (260 needed), rth hours, 2024-01-10 17:18:00 UTC to 2024-01-11 16:00:00 UTC" in ended.out
    assert "0 were stored before, 312 were asked for in 2 requests" in ended.out
    assert requests_for_bars(gateway) - asked == 2
    assert stored_sessions(root, MINUTES) == ["2024-01-10", "2024-01-11"]
    again = mdp(*line, "--load", "--json").json
    (series,) = again["series"]
    assert (again["enough"], series["history"]["from_catalog"], series["history"]["requests"]) == (True, 312, 0)
    assert requests_for_bars(gateway) - asked == 2


def test_answers_for_programs_have_the_plan(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    answer = mdp("warmup", "EUR/USD.IDEALPRO", "15-MINUTE-MID", "--bars", "260", "--buffer", "1", "--json", "--catalog", root).json
    (series,) = answer["series"]
    assert (series["series"], series["needed"], series["wanted"], series["hours"]) == ("EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL", 260, 260, "all")
    # 95 bars a day, and 75 up to 11:00 of Thursday.
    assert series["missing"] == ["2024-01-09", "2024-01-10", "2024-01-11"]
    assert (series["plan"]["requests"], series["plan"]["bars"], series["expected"], series["enough_stored"]) == (1, 261, 260, False)
    assert (series["now"], series["naturally"]["at"]) == ("2024-01-11T16:00:30.000000000Z", "2024-01-16T09:45:00.000000000Z")


def test_several_series_are_told_one_by_one_and_one_that_fails_stops_no_other(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    ended = mdp("warmup", "AAPL.NASDAQ", "EUR/USD.IDEALPRO", "msft", "1-MINUTE-LAST", "--bars", "100", "--load", "--catalog", root)
    assert ended.code == 1
    assert "AAPL.NASDAQ 1-MINUTE-LAST: ready: 120 of 120 bars" in ended.out
    assert "EUR/USD.IDEALPRO: failed: Currency pairs have no trades at IBKR" in ended.out
    assert "MSFT.NASDAQ 1-MINUTE-LAST: ready: 120 of 120 bars" in ended.out
    assert "3 series, 2 ready before the first live bar" in ended.out
    assert {series.instrument_id for series in Catalog.open(root).series()} == {"AAPL.NASDAQ", "MSFT.NASDAQ"}


def test_from_the_catalog_alone_nobody_is_asked(mdp: Mdp, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IB_PORT", "1")
    ended = mdp("warmup", *AAPL, "--bars", "260", "--source", "catalog", "--catalog", root)
    assert ended.code == 1
    assert "not enough: 0 of 312 bars" in ended.out
    assert "Allow the source ibkr, or fill it before: mdp load AAPL.NASDAQ 1-MINUTE-LAST --mode full --start" in ended.out
    assert "IB Gateway" not in ended.out + ended.err


def test_no_gateway_is_told_at_once_with_what_waiting_costs(mdp: Mdp, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        monkeypatch.setenv("IB_PORT", str(one.getsockname()[1]))
    for flags in ((), ("--load",)):
        ended = mdp("warmup", *AAPL, "--bars", "260", *flags, "--catalog", root)
        assert ended.code == 1
        assert "not enough: 0 of 312 bars" in ended.out
        assert "why: No IB Gateway listens" in ended.out
        assert "without history a strategy waits for 260 bars, 4 h 20 min of trading" in ended.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["AAPL.NASDAQ-1-MINUTE-LAST", "--bars", "260"], "Write: mdp warmup AAPL.NASDAQ 1-MINUTE-LAST"),
        ([*AAPL], "--bars"),
        ([*AAPL, "--bars", "0"], "--bars 0 warms nothing"),
        ([*AAPL, "--bars", "10", "--buffer", "0.5"], "--buffer 0.5"),
        ([*AAPL, "--bars", "10", "--lookback", "0"], "--lookback 0"),
        ([*AAPL, "--bars", "10", "--source", "yahoo"], "--source 'yahoo' is not known. Write catalog or ibkr."),
        ([*AAPL, "--bars", "10", "--source", "catalog", "--load"], "--load asks IBKR for what the catalog lacks"),
        (["AAPL.NASDAQ", "6-MINUTE-LAST", "--bars", "10"], "IBKR has no bars of 6 MINUTE"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(mdp: Mdp, root: Path, arguments: list[str], message: str) -> None:
    ended = mdp("warmup", *arguments, "--catalog", root)
    assert ended.code == 2
    assert message in ended.err
