"""`mdp backtest`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from market_data_pipeline.domain.coverage import SIMULATED, Coverage
from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import AAPL_YAML, minutes, store, store_whole
from market_data_pipeline_tests.gateway import RunningGateway

WEEK = ["2024-02-05", "2024-02-06", "2024-02-07", "2024-02-08", "2024-02-09"]
SERIES = ["--bar-type", "AAPL.NASDAQ-1-MINUTE-LAST", "--start", "2024-02-05", "--end", "2024-02-09", "--balance", "100000 USD"]
QUICK = ["--config", '{"fast_period": 5, "slow_period": 10}']


@pytest.fixture
def catalog(mdp: Mdp, root: Path) -> Path:
    """A catalog with a definition and a week of bars, but for its Thursday."""
    Path("aapl.yaml").write_text(AAPL_YAML)
    mdp("instruments", "define", "--instruments", "aapl.yaml", "--catalog", root)
    store_whole(root, [day for day in WEEK if day != "2024-02-08"])
    return root


def test_a_range_with_gaps_is_refused_with_what_fills_it(mdp: Mdp, catalog: Path) -> None:
    ended = mdp("backtest", "run", *SERIES, "--catalog", catalog, "--json")
    assert (ended.code, ended.json["error"]) == (1, "DataMissing")
    assert "2024-02-08 (1 session)" in ended.err
    assert "mdp import-csv FILE" in ended.err
    assert "--allow-gaps" in ended.err
    assert ended.err.endswith(f"  for this catalog, add to such a command: --catalog {catalog}\n")


def test_a_backtest_is_run_listed_and_shown(mdp: Mdp, catalog: Path) -> None:
    ended = mdp("backtest", "run", *SERIES, *QUICK, "--allow-gaps", "--name", "quick", "--catalog", catalog, "--json")
    assert ended.code == 0, ended.err
    answer = ended.json
    folder = Path(answer["folder"])
    assert folder.parent == catalog.parent / "backtests"
    assert answer["passport"]["bars"] == 4 * 390
    assert answer["passport"]["gap_verdict"] == "gaps allowed"
    assert Path(answer["tearsheet"]).is_file()
    listed = mdp("backtest", "list", "--catalog", catalog)
    assert listed.out.splitlines()[1].split()[0] == answer["id"]
    kept: list[dict[str, Any]] = mdp("backtest", "list", "--catalog", catalog, "--json").json["backtests"]
    assert [(one["id"], one["start"], one["bars"]) for one in kept] == [(answer["id"], "2024-02-05", 1560)]
    shown = mdp("backtest", "show", "quick", "--catalog", catalog)
    assert shown.out.startswith(f"{answer['id']}\nstatistics\n")
    for word in ("equity", "largest drawdown", "orders", "passport", "1 session missing", "seed", str(folder / "tearsheet.html")):
        assert word in shown.out
    assert mdp("backtest", "show", answer["id"], "--catalog", catalog, "--json").json == answer


def test_what_is_fetched_for_a_backtest_is_told_and_fetched_once(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    line = ("backtest", "run", *SERIES, *QUICK, "--fetch", "--catalog", root)
    assert mdp("load", "AAPL.NASDAQ", "1-MINUTE-LAST", "--start", WEEK[0], "--end", WEEK[0], "--catalog", root).code == 0
    first = mdp(*line)
    assert first.code == 0, first.err
    assert "AAPL.NASDAQ 1-MINUTE-LAST: 4 of 4 missing sessions fetched with 4 requests, 1,560 bars\n" in first.err
    again = mdp(*line, "--name", "again")
    assert (again.code, "fetched with" in again.err) == (0, False)


def test_a_backtest_on_simulated_prices_says_so(mdp: Mdp, root: Path) -> None:
    Path("aapl.yaml").write_text(AAPL_YAML)
    mdp("instruments", "define", "--instruments", "aapl.yaml", "--catalog", root)
    store(root, [("2024-02-05", minutes("2024-02-05"), Coverage.COMPLETE)], source="ibkr", adjustment=SIMULATED)
    ended = mdp("backtest", "run", *SERIES, *QUICK, "--end", "2024-02-05", "--catalog", root)
    assert ended.code == 0, ended.err
    assert "390 bars of 1 session, SIMULATED prices; fingerprint" in ended.out


def test_a_file_says_what_to_run_and_options_win(mdp: Mdp, catalog: Path) -> None:
    Path("sma.yaml").write_text(
        "name: from-file\nstrategy:\n  config: {fast_period: 5, slow_period: 10}\nseries: [AAPL.NASDAQ-1-MINUTE-LAST]\n"
        "start: 2024-02-05\nend: 2024-02-09\nstarting_balances: [100000 USD]\n"
    )
    ended = mdp("backtest", "run", "sma.yaml", "--end", "2024-02-06", "--name", "short", "--results", "kept", "--catalog", catalog)
    assert ended.code == 0, ended.err
    assert "complete" in ended.out
    (result,) = Path("kept").iterdir()
    assert "-short-" in result.name
    assert mdp("backtest", "show", "short", "--results", "kept", "--json").json["passport"]["spec"]["end"] == "2024-02-06"


def test_nothing_was_run_yet(mdp: Mdp, root: Path) -> None:
    assert "No backtest is kept in" in mdp("backtest", "list", "--catalog", root).out
    assert mdp("backtest", "list", "--catalog", root, "--json").json["backtests"] == []
    ended = mdp("backtest", "show", "20240101", "--catalog", root)
    assert ended.code == 1
    assert "mdp backtest list" in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Nothing to run. Name a file"),
        (["nowhere.yaml"], "There is no file nowhere.yaml"),
        (["nowhere.yaml", "--bar-type", "AAPL.NASDAQ-1-DAY-LAST"], "leave out --strategy"),
        (SERIES[:4], "--end is not given"),
        ([*SERIES, "--start", "2024-02-30"], "'2024-02-30' is not a date"),
        ([*SERIES, "--start", "2024-03-01"], "the range runs backwards: 2024-03-01 to 2024-02-09"),
        (["."], "is a folder. Name a file in it"),
        ([*SERIES, "--balance", "a lot"], "--balance: 'a lot' is no amount of money"),
        ([*SERIES, "--bar-type", "AAPL-1-MINUTE"], "is not a bar type"),
        ([*SERIES, "--config", "{period: 20}"], "--config is no JSON"),
        ([*SERIES, "--config", "[1]"], "must be a JSON object"),
        ([*SERIES, "--strategy", "nonsense"], "--strategy"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(mdp: Mdp, root: Path, arguments: list[str], message: str) -> None:
    ended = mdp("backtest", "run", *arguments, "--catalog", root)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert not root.exists()


def test_a_strategy_that_is_not_there(mdp: Mdp, catalog: Path) -> None:
    ended = mdp("backtest", "run", *SERIES, "--end", "2024-02-06", "--strategy", "nowhere.strategies:Best", "--catalog", catalog)
    assert ended.code in (1, 2)
    assert "nowhere" in ended.err


def test_a_range_outside_what_is_stored(mdp: Mdp, catalog: Path) -> None:
    later = [str(dt.date(2024, 6, 3)), str(dt.date(2024, 6, 7))]
    ended = mdp("backtest", "run", *SERIES, "--start", later[0], "--end", later[1], "--catalog", catalog)
    assert ended.code == 1
    assert "2024-06-03 to 2024-06-07 (5 sessions)" in ended.err
