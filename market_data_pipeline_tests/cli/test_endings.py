"""How commands end when they do not end well: one message, a code, JSON where asked for, and never a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import store_whole


@pytest.mark.parametrize("group", [[], ["ibkr"], ["load"], ["ibkr", "simulate"], ["catalog", "export"]])
def test_help_shows_examples_and_stays_off_heavy_imports(mdp: Mdp, group: list[str]) -> None:
    ended = mdp(*group, "--help")
    assert ended.code == 0
    assert group == ["ibkr"] or "mdp " in ended.out.partition("Examples:")[2]
    heavy = ["numpy", "pandas", "pyarrow", "sqlalchemy", "rich.table", "nautilus_trader", "dagster", "ib_async", "asyncio"]
    heavy += [] if group else ["pydantic"]  # typer imports it itself for the help of a command
    run = f"from market_data_pipeline.cli.main import main; main({[*group, '--help']})"
    code = f"import sys; {run}; sys.exit(str([m for m in {heavy} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"


def test_check_stays_off_what_it_does_not_need(tmp_path: Path) -> None:
    store_whole(tmp_path / "catalog", ["2024-02-05"])
    heavy = "pandas", "nautilus_trader", "dagster", "matplotlib", "rich.table"
    code = (
        "import sys; from market_data_pipeline.cli.main import main; "
        f"main(['check', '--catalog', {str(tmp_path / 'catalog')!r}]); sys.exit(str([m for m in {heavy} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    [
        "import-csv",
        "load",
        "check",
        "instruments",
        "instruments refresh",
        "ibkr",
        "ibkr status",
        "ibkr ranges",
        "backtest run",
        "catalog verify",
        "catalog export",
    ],
)
def test_every_command_has_help(mdp: Mdp, command: str) -> None:
    ended = mdp(*command.split(), "--help")
    assert ended.code == 0
    assert ended.out.startswith(f"Usage: mdp {command}")


def test_the_version_is_that_of_the_package(mdp: Mdp) -> None:
    assert mdp("--version").out == "mdp 0.1.0\n"


def test_no_command_shows_the_help(mdp: Mdp) -> None:
    ended = mdp()
    assert ended.code == 2
    assert ended.err.startswith("Usage: mdp")
    assert "error:" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chek"], "No such command 'chek'. Did you mean 'check'? See: mdp --help"),
        (["check", "--strat", "2024-01-02"], "No such option: --strat"),
        (["import-csv", "a.csv"], "Missing option '--bar'"),
        (["import-csv", "a.csv", "--instrument", "A.NYSE", "--bar", "1-DAY-LAST", "--on-conflict", "guess"], "'guess'"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_a_usage_error(mdp: Mdp, arguments: list[str], message: str) -> None:
    ended = mdp(*arguments)
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert message in ended.err
    as_json = mdp(*arguments, "--json")
    assert (as_json.code, as_json.json["error"], as_json.json["retryable"]) == (2, "UsageError", False)


def test_errors_are_json_too(mdp: Mdp, root: Path) -> None:
    store_whole(root, ["2024-02-05"])
    ended = mdp("check", "MSFT.NASDAQ", "--json", "--catalog", root)
    assert ended.code == 1
    assert ended.json["error"] == "NotStored"
    assert ended.json["message"].startswith("Nothing of MSFT.NASDAQ is stored")
    assert ended.err.startswith("error: Nothing of MSFT.NASDAQ is stored")


def test_a_file_is_no_catalog(mdp: Mdp, tmp_path: Path) -> None:
    file = tmp_path / "catalog"
    file.write_text("not a folder")
    ended = mdp("check", "--catalog", file)
    assert ended.code == 2
    assert f"{file} is a file, and a Parquet catalog is a folder" in ended.err


def test_what_the_system_refuses_is_one_line(mdp: Mdp, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    def refuse(self: Catalog) -> object:
        raise PermissionError(13, "Permission denied", "/there/ledger.sqlite")

    monkeypatch.setattr(Catalog, "availabilities", refuse)
    ended = mdp("check", "--json", "--catalog", root)
    assert ended.code == 1
    assert ended.err == "error: /there/ledger.sqlite: Permission denied.\n"
    assert ended.json["error"] == "PermissionError"


def test_a_fault_of_ours_is_one_line_and_a_file(mdp: Mdp, monkeypatch: pytest.MonkeyPatch, root: Path, tmp_path: Path) -> None:
    def fail(self: Catalog) -> object:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(Catalog, "availabilities", fail)
    ended = mdp("check", "--catalog", root)
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1
    (log,) = (tmp_path / "state" / "nautilus-market-data-pipeline").iterdir()
    assert str(log) in ended.err
    text = log.read_text()
    assert f"mdp check --catalog {root}" in text
    assert "ZeroDivisionError: division by zero" in text


def test_a_crash_log_that_cannot_be_written_goes_to_the_temporary_files(
    mdp: Mdp, monkeypatch: pytest.MonkeyPatch, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file stands where the folder should be")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Catalog, "availabilities", lambda self: 1 / 0)
    assert str(tmp_path / "mdp-crash-") in mdp("check", "--catalog", root).err


def test_the_catalog_may_be_named_before_or_after_the_command_or_around_it(mdp: Mdp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before, after, around = tmp_path / "before", tmp_path / "after", tmp_path / "around"
    assert mdp("--catalog", before, "check", "--json").json["catalog"] == str(before)
    assert mdp("--catalog", before, "check", "--catalog", after, "--json").json["catalog"] == str(after)
    monkeypatch.setenv("MDP_CATALOG", str(around))
    assert mdp("check", "--json").json["catalog"] == str(around)
    assert mdp("--catalog", before, "check", "--json").json["catalog"] == str(before)
    monkeypatch.delenv("MDP_CATALOG")
    assert mdp("check", "--json").json["catalog"] == "data/catalog"


def test_a_command_to_type_next_names_the_catalog_only_where_the_environment_does_not(mdp: Mdp, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    assert f"--catalog {root}" in mdp("check", "--catalog", root).out
    monkeypatch.setenv("MDP_CATALOG", str(root))
    assert "--catalog" not in mdp("check").out


def test_a_watchlist_that_is_not_there_is_told(mdp: Mdp, root: Path) -> None:
    ended = mdp("check", "--config", "nowhere.yaml", "--catalog", root)
    assert (ended.code, ended.err) == (2, "error: --config nowhere.yaml: there is no such file.\n")


def test_shells_can_complete(launched: Mdp) -> None:
    ended = launched(_MDP_COMPLETE="complete_bash", COMP_WORDS="mdp ch", COMP_CWORD="1")
    assert (ended.code, ended.out.split()) == (0, ["check"])


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    store_whole(tmp_path / "catalog", ["2024-02-05"])
    line = f"{sys.executable} -m market_data_pipeline.cli check --json --catalog {tmp_path / 'catalog'} | true"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("", "")


def test_piped_answers_have_no_colours_and_break_no_value(launched: Mdp, tmp_path: Path) -> None:
    root = tmp_path / ("a" * 100) / "catalog"
    ended = launched("check", "--catalog", root, COLUMNS="20", FORCE_COLOR="1")
    assert "\033" not in ended.out
    assert str(root) in ended.out


def test_a_value_that_the_terminal_cannot_show_is_escaped(launched: Mdp, tmp_path: Path) -> None:
    ended = launched("check", "--catalog", tmp_path / "Köln", PYTHONIOENCODING="ascii")
    assert ended.code == 0
    assert "K\\xf6ln" in ended.out


def test_ctrl_c_says_what_stands(tmp_path: Path) -> None:
    code = (
        "import time; from market_data_pipeline.cli.main import main; from market_data_pipeline.catalog import Catalog\n"
        "def slow(self):\n    print('ready', flush=True); time.sleep(60)\n"
        f"Catalog.availabilities = slow\nraise SystemExit(main(['check', '--catalog', {str(tmp_path)!r}]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "Stopped. What was stored before is whole and stays.\n"
