"""`mdp load` against a gateway in a process of its own. NYSE was closed on 2024-01-01 and 2024-01-15: January had 21 sessions of 390 minutes."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli import load as command
from market_data_pipeline_tests.cli.conftest import Mdp, requests_for_bars
from market_data_pipeline_tests.cli.stored import MINUTES, bars_stored, store_whole, stored_sessions
from market_data_pipeline_tests.cli.terminal import Terminal
from market_data_pipeline_tests.gateway import RunningGateway

AAPL = ("AAPL.NASDAQ", "1-MINUTE-LAST")
JANUARY = ("--start", "2024-01-01", "--end", "2024-01-31")


def delete(root: Path, *dates: str) -> None:
    """Delete the files of sessions, as a person would."""
    catalog = Catalog.open(root)
    files = {str(row.session): row.file for row in catalog.sessions(MINUTES)}
    catalog.ledger.close()
    for date in dates:
        (catalog.layout.series_folder(MINUTES) / files[date]).unlink()


def test_the_choices_are_those_of_the_use_case() -> None:
    from typing import get_args

    from market_data_pipeline.ingest.modes import Mode
    from market_data_pipeline.sources.ibkr import Hours

    assert [str(one) for one in Mode] == [*get_args(command.Modes)]
    assert [str(one) for one in Hours] == [*get_args(command.HoursChoice)]


def test_a_month_is_fetched_once_and_only_what_is_deleted_comes_back(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    """One request a day by the documented table; the 18th and 19th were Thursday and Friday, the 22nd a Monday."""
    line = ("load", *AAPL, "--mode", "backfill", *JANUARY, "--json", "--catalog", root)
    before = requests_for_bars(gateway)
    first = mdp(*line)
    assert first.code == 0
    assert "21 requests for 21 sessions, at most 8,190 bars" in first.err
    assert "all of them may go at once" in first.err
    assert "at IBKR's rate" not in first.err
    (series,) = first.json["series"]
    told = ("sessions", "cached_before", "gaps_analyzed", "segments_fetched", "requests_made", "fetched_bars", "failed_segments")
    assert [series[name] for name in told] == [21, 0, 1, 21, 21, 8_190, []]
    assert requests_for_bars(gateway) - before == 21
    assert bars_stored(root) == 8_190
    assert series["definition"]["outcome"] == "new"
    (series,) = mdp(*line).json["series"]
    assert [series[name] for name in told] == [21, 21, 0, 0, 0, 0, []]
    assert requests_for_bars(gateway) - before == 21
    delete(root, "2024-01-18", "2024-01-19", "2024-01-22")
    assert len(stored_sessions(root)) == 18
    (series,) = mdp(*line).json["series"]
    assert [series[name] for name in told] == [21, 18, 1, 3, 3, 1_170, []]
    assert series["plan"]["missing"] == ["2024-01-18", "2024-01-19", "2024-01-22"]
    assert requests_for_bars(gateway) - before == 24
    assert len(stored_sessions(root)) == 21


def test_the_example_from_the_field(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    """Of RBLX, 2024-04-01 to 2025-05-01 is stored without 2024-12-01 to 10.

    To be had: 250 sessions of 2023 and 61 of January to March 2024; 7 of December; 20 of May 2025: three segments. A request brings a year,
    so two years and five months cannot be had with fewer than three.
    """
    line = ("load", "RBLX.NYSE", "1-DAY-LAST", "--mode", "full", "--json", "--catalog", root)
    for start, end in (("2024-04-01", "2024-11-30"), ("2024-12-11", "2025-05-01")):
        assert mdp(*line, "--start", start, "--end", end).code == 0
    before = requests_for_bars(gateway)
    (series,) = mdp(*line, "--start", "2023-01-01", "--end", "2025-05-30").json["series"]
    assert series["gaps_analyzed"] == 3
    assert (series["segments_fetched"], series["failed_segments"]) == (250 + 61 + 7 + 20, [])
    assert series["requests_made"] == series["plan"]["requests"] == requests_for_bars(gateway) - before == 3


def test_a_dry_run_asks_for_no_bars_and_stores_nothing(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    before = requests_for_bars(gateway)
    ended = mdp("load", *AAPL, *JANUARY, "--dry-run", "--catalog", root)
    assert ended.code == 0
    assert ended.out.startswith("Dry run, nothing was stored; it would be: AAPL.NASDAQ 1-MINUTE-LAST: full, rth hours, 2024-01-02 to 2024-01-31")
    plan = "21 requests for 21 sessions, at most 8,190 bars, about 114.7 kB"
    assert ended.out.splitlines()[1:] == [f"  {plan}", "  all of them may go at once", "  next: the same command without --dry-run"]
    assert requests_for_bars(gateway) == before
    assert not root.exists()


def test_a_dry_run_under_ibkrs_rules_tells_how_long_it_takes_and_what_may_go_at_once(
    mdp: Mdp, root: Path, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """63 sessions from 2024-01-02 to 2024-04-02 (21, 20, 20 and 2), one request each, one every ten seconds; 60 may go in ten minutes."""
    monkeypatch.setenv("IB_PACING", "strict")
    ended = mdp("load", *AAPL, "--start", "2024-01-01", "--end", "2024-04-02", "--dry-run", "--catalog", root)
    assert "63 requests for 63 sessions" in ended.out
    assert "about 10 min 30 s at IBKR's rate\n  the first 60 may go at once\n" in ended.out


def test_the_time_that_is_told_waits_for_the_places_that_were_used_just_now(
    mdp: Mdp, root: Path, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three requests, and 58 more: the last of these waits until the first three count no more, ten minutes after they were sent."""
    monkeypatch.setenv("IB_PACING", "strict")
    mdp("load", *AAPL, "--start", "2024-01-02", "--end", "2024-01-04", "--catalog", root)
    ended = mdp("load", *AAPL, "--start", "2024-01-02", "--end", "2024-03-28", "--dry-run", "--catalog", root)
    told = re.search(r"58 requests for 58 sessions, .*, about (9|10) min( \d+ s)? at IBKR's rate\n  the first 57 may go at once\n", ended.out)
    assert told is not None, ended.out
    assert told[0].find("about 9 min 40 s") < 0, "58 requests, one every ten seconds: as if nobody had asked"


def test_a_dry_run_with_nothing_to_ask_says_so_and_names_no_next_command(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    day = ("load", *AAPL, "--start", "2024-01-10", "--end", "2024-01-10", "--catalog", root)
    mdp(*day)
    ended = mdp(*day, "--dry-run")
    assert ended.out.splitlines()[1:] == ["  nothing to ask for: all is stored"]


def test_a_dry_run_needs_no_gateway_where_the_instrument_is_stored(
    mdp: Mdp, root: Path, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    mdp("load", *AAPL, "--start", "2024-01-10", "--end", "2024-01-10", "--catalog", root)
    monkeypatch.setenv("IB_PORT", str(free_port()))
    monkeypatch.setenv("IB_PACING", "strict")
    ended = mdp("load", *AAPL, *JANUARY, "--dry-run", "--json", "--catalog", root)
    assert ended.code == 0
    (series,) = ended.json["series"]
    assert (ended.json["dry_run"], series["plan"]["requests"], series["plan"]["bars"], series["plan"]["seconds"]) == (True, 20, 7_800, 200.0)
    by_symbol = mdp("load", "aapl", "1-MINUTE-LAST", *JANUARY, "--sizes", "observed", "--dry-run", "--json", "--catalog", root)
    assert by_symbol.json["series"][0]["plan"]["requests"] < 20


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_no_gateway_is_one_message_within_five_seconds(mdp: Mdp, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("IB_PORT", str(port))
    started = time.monotonic()
    ended = mdp("load", *AAPL, *JANUARY, "--json", "--catalog", root)
    assert time.monotonic() - started < 5
    assert (ended.code, ended.json["error"], ended.json["retryable"]) == (1, "SourceUnavailable", True)
    assert ended.err.count("error:") == 1
    assert f"No IB Gateway listens at 127.0.0.1:{port}" in ended.err
    assert "mdp ibkr simulate" in ended.err
    assert not root.exists()


def test_a_symbol_that_may_mean_several_instruments_is_a_question(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    ended = mdp("load", "ES@FUT", "1-DAY-LAST", "--start", "2024-01-02", "--catalog", root)
    assert ended.code == 3
    assert "ES@FUT may mean " in ended.err
    lines = [line.split() for line in ended.err.splitlines()]
    assert ["ID", "TYPE", "EXPIRY", "EXCHANGE", "CURRENCY", "NAME"] in lines
    first = next(line for line in lines if line[:1] == ["1"])
    assert first[2] == "FUT"
    assert f"mdp load {first[1]} 1-DAY-LAST --mode full --start 2024-01-02 --catalog {root}" in ended.err
    assert not root.exists()


def test_a_person_at_the_terminal_chooses(root: Path, gateway: RunningGateway) -> None:
    terminal = Terminal(["load", "ES@FUT", "1-DAY-LAST", "--start", "2026-01-05", "--end", "2026-01-09", "--catalog", root])
    try:
        terminal.read_until("Which one? [1-")
        terminal.type("none of them")
        terminal.read_until("Which one? [1-")
        terminal.type("1")
        assert terminal.end() == 0
    finally:
        terminal.leave()
    catalog = Catalog.open(root)
    (series,) = catalog.series()
    catalog.ledger.close()
    assert series.instrument_id.startswith("ES")
    assert series.venue == "CME"


def test_a_clear_symbol_is_looked_up(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    ended = mdp("load", "EURUSD", "1-HOUR-MID", "--start", "2024-01-08", "--end", "2024-01-12", "--json", "--catalog", root)
    assert ended.code == 0
    (series,) = ended.json["series"]
    assert (series["series"], series["hours"], series["sessions"]) == ("EUR/USD.IDEALPRO-1-HOUR-MID-EXTERNAL", "all", 5)


def test_one_series_that_fails_does_not_stop_the_others(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    line = ("load", "AAPL.NASDAQ", "NOSUCH.NASDAQ", "MSFT.NASDAQ", "1-DAY-LAST", "--start", "2024-01-02", "--end", "2024-01-12", "--catalog", root)
    ended = mdp(*line)
    assert ended.code == 1
    assert "NOSUCH.NASDAQ 1-DAY-LAST: failed: IBKR lists no contract for NOSUCH.NASDAQ" in ended.out
    assert ended.out.count("9 sessions), all stored") == 2
    assert "3 series, 1 with failures" in ended.out
    assert "together: 2 requests, at most 18 bars" in ended.err
    again = mdp(*line, "--json")
    assert again.code == 1
    assert [(one["series"].partition(".")[0], one["error"] and one["error"]["error"]) for one in again.json["series"]] == [
        ("AAPL", None),
        ("NOSUCH", "ContractUnknown"),
        ("MSFT", None),
    ]
    alone = mdp("load", "NOSUCH.NASDAQ", "1-DAY-LAST", "--json", "--catalog", root)
    assert (alone.code, alone.json["error"]) == (1, "ContractUnknown")


def test_other_hours_than_those_stored_are_refused(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    week = ("--start", "2024-01-08", "--end", "2024-01-09", "--catalog", root)
    assert mdp("load", *AAPL, "--hours", "all", *week).code == 0
    assert bars_stored(root) > 780
    ended = mdp("load", *AAPL, "--hours", "rth", "--refetch", *week)
    assert ended.code == 1
    assert "is stored with all hours, and rth hours are asked for" in ended.err
    assert mdp("load", *AAPL, "--json", *week).json["series"][0]["hours"] == "all"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["AAPL.NASDAQ", "MSFT.NASDAQ"], "'MSFT.NASDAQ' is not a bar spec."),
        ([*AAPL, "--start", "2024-02-30"], "'2024-02-30' is not a date"),
        ([*AAPL, "--start", "2024-02-02", "--end", "2024-01-02"], "The range runs backwards"),
        ([*AAPL, "--mode", "sideways"], "'sideways'"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(mdp: Mdp, root: Path, arguments: list[str], message: str) -> None:
    ended = mdp("load", *arguments, "--catalog", root)
    assert ended.code == 2
    assert message in ended.err


def test_a_bar_type_in_one_word_is_told_in_two(mdp: Mdp, root: Path) -> None:
    for words in (["TSLA.NASDAQ-1-MINUTE-LAST"], ["TSLA.NASDAQ-1-MINUTE-LAST-EXTERNAL"], ["TSLA.NASDAQ-1-MINUTE-LAST", "1-DAY-LAST"]):
        ended = mdp("load", *words, "--catalog", root)
        assert ended.code == 2
        assert "Write: mdp load TSLA.NASDAQ 1-MINUTE-LAST" in ended.err


@pytest.mark.parametrize("command", [("load", "AAPL.NASDAQ"), ("warmup", "AAPL.NASDAQ", "--bars", 260)])
def test_bars_that_are_not_named_are_told_as_missing(mdp: Mdp, command: tuple[object, ...]) -> None:
    """The last word is taken for the bars, so that typer would miss the instrument."""
    ended = mdp(*command)
    assert (ended.code, f"After the instrument come its bars: mdp {command[0]} AAPL.NASDAQ 1-MINUTE-LAST" in ended.err) == (2, True), ended.err


def test_sessions_without_bars_are_told(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    """RBLX was listed on Wednesday, 2021-03-10: four of seven sessions were before."""
    line = ("load", "RBLX.NYSE", "1-MINUTE-LAST", "--start", "2021-03-04", "--end", "2021-03-12", "--catalog", root)
    assert "2021-03-04 to 2021-03-12 (7 sessions), all stored, 4 of them without bars" in mdp(*line).out
    assert "(7 sessions), all stored before, 4 of them without bars" in mdp(*line).out
    assert mdp(*line, "--json").json["series"][0]["empty_sessions"] == ["2021-03-04", "2021-03-05", "2021-03-08", "2021-03-09"]


def test_an_index_that_is_no_stock_leads_to_what_finds_it(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    ended = mdp("load", "SPX.CBOE", "1-DAY-LAST", "--start", "2024-01-02", "--catalog", root)
    assert "Look it up with: mdp ibkr discover SPX" in ended.err
    assert "^SPX.CBOE" in mdp("ibkr", "discover", "SPX").out


def test_a_pair_has_no_trades(mdp: Mdp, root: Path) -> None:
    ended = mdp("load", "EUR/USD.IDEALPRO", "1-DAY-LAST", "--catalog", root)
    assert ended.code == 2
    assert "Ask for MID, BID or ASK" in ended.err


def test_bars_of_a_file_with_other_adjustment_are_never_mixed(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    store_whole(root, ["2024-01-09"])
    ended = mdp("load", *AAPL, "--start", "2024-01-08", "--end", "2024-01-10", "--catalog", root)
    assert ended.code == 1
    assert "is stored as raw prices of all hours; these are split prices of all hours" in ended.err


def test_a_gap_of_the_broker_is_filled_by_the_broker(mdp: Mdp, root: Path, gateway: RunningGateway) -> None:
    mdp("load", *AAPL, "--start", "2024-01-08", "--end", "2024-01-12", "--catalog", root)
    delete(root, "2024-01-09", "2024-01-11")
    fill = f"mdp load AAPL.NASDAQ 1-MINUTE-LAST --mode full --start 2024-01-09 --end 2024-01-11 --catalog {root}"
    ended = mdp("check", "--catalog", root)
    assert f"fill it: {fill}" in ended.out
    assert "import-csv" not in ended.out
    assert mdp(*fill.split()[1:]).code == 0
    assert mdp("check", "--json", "--catalog", root).json["series"][0]["complete"] is True
