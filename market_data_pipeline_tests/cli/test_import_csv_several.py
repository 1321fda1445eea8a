"""`mdp import-csv` of several series: by the names of files, by a column of symbols, and over several processes."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.sessions import parse_date
from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import stored_sessions, write_csv
from market_data_pipeline_tests.cli.terminal import Terminal
from market_data_pipeline_tests.cli.week import WEEK

SYMBOLS = ("AAPL", "IBM", "MSFT")
NASDAQ = {symbol: Series.of(f"{symbol}.NASDAQ", "1-MINUTE-LAST") for symbol in SYMBOLS}


@pytest.fixture(autouse=True)
def _files() -> None:
    """A folder of files named by symbol, two of Apple, and the definitions of all."""
    Path("prices").mkdir()
    write_csv(Path("prices/AAPL-1.csv"), WEEK[:2])
    write_csv(Path("prices/AAPL-2.csv"), WEEK[2:])
    write_csv(Path("prices/MSFT_2024.csv"), WEEK)
    write_csv(Path("prices/IBM.csv"), WEEK)
    lines = [f"  - {{id: {symbol}.NASDAQ, type: equity, currency: USD, price_precision: 2}}" for symbol in SYMBOLS]
    Path("instruments.yaml").write_text("\n".join(["instruments:", *lines]) + "\n")


def command(root: Path, *more: str | Path, files: tuple[str, ...] = ("AAPL-1", "AAPL-2", "MSFT_2024", "IBM")) -> list[str | Path]:
    how: list[str | Path] = ["--bar", "1-MINUTE-LAST", "--timezone", "America/New_York", "--stamp", "open", "--catalog", root]
    return ["import-csv", *(f"prices/{name}.csv" for name in files), "--instrument", "{symbol}.NASDAQ", *how, *more]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_files_named_by_symbol_are_each_imported_into_its_series(mdp: Mdp, root: Path, jobs: str) -> None:
    ended = mdp(*command(root, "--jobs", jobs, "--json"))
    assert ended.code == 0, ended.err
    imports = ended.json["imports"]
    assert [one["series"] for one in imports] == [f"{symbol}.NASDAQ-1-MINUTE-LAST-EXTERNAL" for symbol in ("AAPL", "MSFT", "IBM")]
    assert imports[0]["files"] == ["AAPL-1.csv", "AAPL-2.csv"]
    assert [one["bars_written"] for one in imports] == [5 * 390] * 3
    assert {symbol: stored_sessions(root, series) for symbol, series in NASDAQ.items()} == dict.fromkeys(SYMBOLS, WEEK)
    again = mdp(*command(root, "--jobs", jobs))
    assert again.code == 0, again.err
    assert [line for line in again.out.splitlines() if "NASDAQ 1-MINUTE-LAST: " in line] == [
        f"{symbol}.NASDAQ 1-MINUTE-LAST: 5 sessions unchanged (2024-02-05 to 2024-02-09)" for symbol in ("AAPL", "MSFT", "IBM")
    ]


def test_symbols_of_one_file_are_imported_at_once(mdp: Mdp, root: Path) -> None:
    rows = ["symbol,timestamp,open,high,low,close,volume"]
    for symbol, price in (("apple", "185.00"), ("micro", "400.00")):
        rows += [f"{symbol},{line}" for line in write_csv(Path("one.csv"), WEEK, price=price).read_text().splitlines()[1:]]
    Path("both.csv").write_text("\n".join(rows) + "\n")
    how = ["--bar", "1-MINUTE-LAST", "--timezone", "America/New_York", "--stamp", "open", "--catalog", root]
    ended = mdp("import-csv", "both.csv", "--map", "apple=AAPL.NASDAQ", "--map", "micro=MSFT.NASDAQ", *how, "--jobs", "2", "--json")
    assert ended.code == 0, ended.err
    assert [one["bars_written"] for one in ended.json["imports"]] == [5 * 390] * 2


def test_one_that_fails_does_not_stop_the_others_and_gives_the_exit_code(mdp: Mdp, root: Path) -> None:
    Path("prices/MSFT_2024.csv").write_text(Path("prices/MSFT_2024.csv").read_text().replace("185.01,", "-185.01,", 1))
    ended = mdp(*command(root, "--jobs", "2", "--json"))
    assert ended.code == 1
    assert [(one["series"], one["error"]) for one in ended.json["errors"]] == [("MSFT.NASDAQ-1-MINUTE-LAST-EXTERNAL", "BadRows")]
    assert "error: MSFT.NASDAQ-1-MINUTE-LAST-EXTERNAL: " in ended.err
    assert [len(stored_sessions(root, series)) for series in NASDAQ.values()] == [5, 5, 0]


def test_a_question_that_nobody_is_there_to_answer_is_exit_code_three(mdp: Mdp, root: Path) -> None:
    mdp(*command(root))
    write_csv(Path("prices/IBM.csv"), WEEK, price="190.00")
    ended = mdp(*command(root, "--jobs", "2"))
    assert ended.code == 3
    assert "--on-conflict skip" in ended.err
    assert mdp(*command(root, "--jobs", "2", "--on-conflict", "overwrite")).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "0"], "--jobs"),
        (["--jobs", "2", "--symbol", "AAPL", "--map", "A=B.NASDAQ"], "--map says which instrument each symbol is"),
        (["--jobs", "2", "--delimiter", "xx"], "--delimiter 'xx' is not one character"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_read(mdp: Mdp, root: Path, arguments: list[str], message: str) -> None:
    ended = mdp(*command(root, *arguments))
    assert ended.code == 2
    assert message in ended.err
    assert not root.exists()


def test_what_is_not_defined_is_told_before_any_series_is_imported(mdp: Mdp, root: Path) -> None:
    write_csv(Path("prices/ZZZ.csv"), WEEK)
    ended = mdp(*command(root, "--jobs", "2", files=("AAPL-1", "ZZZ")))
    assert ended.code == 1
    assert "There is no definition of ZZZ.NASDAQ" in ended.err
    assert not root.exists()


def test_a_dry_run_over_several_processes_leaves_nothing(mdp: Mdp, root: Path) -> None:
    ended = mdp(*command(root, "--jobs", "2", "--dry-run"))
    assert ended.code == 0, ended.err
    assert ended.out.count("Dry run, nothing was stored") == 3
    assert not root.exists()


def test_after_ctrl_c_whole_sessions_stay_and_the_same_command_goes_on(mdp: Mdp, root: Path) -> None:
    """Two years of 390 minutes in four files: long enough to be stopped in the midst."""
    days = [str(day) for day in _open_days(500)]
    names = ("AAPL-1", "MSFT_2024", "IBM")
    for name in names:
        write_csv(Path(f"prices/{name}.csv"), days)
    terminal = Terminal(command(root, "--jobs", "2", "--accept-holes", files=names))
    try:
        terminal.read_until(" left")
        terminal.press(b"\x03")
        terminal.read_until("goes on from there")
        assert terminal.end() == 130
    finally:
        terminal.leave()
    before = sum(len(stored_sessions(root, series)) for series in NASDAQ.values())
    assert before < 3 * len(days)
    assert mdp("catalog", "verify", "--catalog", root).code == 0
    ended = mdp(*command(root, "--jobs", "2", "--accept-holes", "--json", files=names))
    assert ended.code == 0, ended.err
    assert [len(stored_sessions(root, series)) for series in NASDAQ.values()] == [len(days)] * 3


def _open_days(number: int) -> list[dt.date]:
    return list(partitions_of(NASDAQ["AAPL"]).dates_between(parse_date("2022-01-03"), parse_date("2024-06-28")))[:number]
