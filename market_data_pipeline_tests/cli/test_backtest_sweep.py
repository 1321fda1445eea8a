"""`mdp backtest sweep`, and sweeps in `list` and `show`."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import AAPL_YAML, store_whole
from market_data_pipeline_tests.cli.terminal import Terminal

SPEC = "name: cross\nseries: [AAPL.NASDAQ-1-MINUTE-LAST]\nstart: 2024-02-05\nend: 2024-02-07\ngrid: {fast_period: [5, 10], slow_period: [10, 20]}\n"


@pytest.fixture
def catalog(mdp: Mdp, root: Path) -> Path:
    """A catalog with a definition and three days of bars, and a spec with a grid, here."""
    Path("aapl.yaml").write_text(AAPL_YAML)
    mdp("instruments", "define", "--instruments", "aapl.yaml", "--catalog", root)
    store_whole(root, ["2024-02-05", "2024-02-06", "2024-02-07"])
    Path("cross.yaml").write_text(SPEC)
    return root


def test_a_sweep_is_run_listed_and_shown(mdp: Mdp, launched: Mdp, catalog: Path) -> None:
    ended = launched("backtest", "sweep", "cross.yaml", "--jobs", "2", "--catalog", catalog, "--json")
    assert ended.code == 0, ended.err
    assert "Running 4 combinations, 2 at once" in ended.err
    assert "fast_period 10, slow_period 10: failed:" in ended.err
    answer = ended.json
    assert answer["combinations"] == {"finished": 3, "failed": 1}
    assert [row["outcome"] for row in answer["rows"]] == ["finished", "finished", "failed", "finished"]
    best = max((row for row in answer["rows"] if row["run"]), key=lambda row: row["change"])
    assert answer["best"]["run"] == best["run"]
    assert pq.read_table(answer["table"]).num_rows == 4
    assert Path(answer["map"]).is_file()

    listed = mdp("backtest", "list", "--catalog", catalog).out
    assert f"{answer['id']}  fast_period, slow_period  2024-02-05  2024-02-07        3 of 4" in listed
    assert [one["id"] for one in mdp("backtest", "list", "--catalog", catalog, "--json").json["sweeps"]] == [answer["id"]]
    shown = mdp("backtest", "show", "cross", "--catalog", catalog).out
    assert shown.startswith(f"{answer['id']}\n  3 finished, 1 failed; 2024-02-05 to 2024-02-07, best first:\n")
    command = f"mdp backtest show {best['run']} --catalog {catalog}"
    assert shown.rstrip().endswith(command)
    assert mdp(*command.split()[1:]).out.startswith(best["run"])
    assert mdp("backtest", "show", answer["id"], "--catalog", catalog, "--json").json == answer


def test_where_nothing_can_be_run_the_command_fails_with_the_reason(launched: Mdp, catalog: Path) -> None:
    Path("cross.yaml").write_text(SPEC.replace("[5, 10]", "[30, 40]"))
    ended = launched("backtest", "sweep", "cross.yaml", "--catalog", catalog, "--json")
    assert (ended.code, ended.json["error"]) == (1, "BacktestFailed")
    assert "None of 4 combinations of cross could be run. The first:" in ended.err
    assert "fast_period 30 must be less than slow_period 10" in ended.err


@pytest.mark.parametrize(
    ("spec", "options", "code", "message"),
    [
        (SPEC.replace("fast_period", "fast"), [], 2, "SmaCrossConfig has no fast."),
        (SPEC.replace("[5, 10]", "[]"), [], 2, "cross.yaml, line 5: grid: fast_period has no values"),
        (SPEC.partition("grid:")[0], [], 2, "cross has no grid, so there is nothing to sweep."),
        (SPEC, ["--end", "2024-02-09"], 1, "2024-02-08 to 2024-02-09"),
        (SPEC, ["--jobs", "0"], 2, "--jobs"),
    ],
)
def test_what_cannot_be_swept_is_told_in_one_message(mdp: Mdp, catalog: Path, spec: str, options: list[str], code: int, message: str) -> None:
    Path("cross.yaml").write_text(spec)
    ended = mdp("backtest", "sweep", "cross.yaml", *options, "--catalog", catalog)
    assert ended.code == code
    assert message in ended.err
    assert not (catalog.parent / "backtests").exists()


def test_a_grid_is_not_run_as_one_backtest(mdp: Mdp, catalog: Path) -> None:
    ended = mdp("backtest", "run", "cross.yaml", "--catalog", catalog)
    assert ended.code == 2
    assert "mdp backtest sweep SPEC.yaml" in ended.err


def test_after_ctrl_c_results_stay(mdp: Mdp, catalog: Path) -> None:
    values = list(range(5, 45))
    Path("cross.yaml").write_text(SPEC.replace("[5, 10]", str(values)).replace("[10, 20]", "[50]"))
    command = ["backtest", "sweep", "cross.yaml", "--jobs", "2", "--catalog", str(catalog)]
    terminal = Terminal(command)
    try:
        terminal.read_until(" left")
        terminal.press(b"\x03")
        shown = terminal.read_until("goes on from there")
        assert terminal.end() == 130
    finally:
        terminal.leave()
    assert "Stopped after" in shown
    [kept] = mdp("backtest", "list", "--catalog", catalog, "--json").json["sweeps"]
    finished = kept["combinations"]["finished"]
    assert 1 <= finished < len(values)
    assert not list(Path(kept["folder"]).glob("runs/.*"))
