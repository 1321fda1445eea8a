from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from market_data_pipeline.backtest import BacktestResult, BacktestSpec, list_results, run_backtest
from market_data_pipeline.backtest.sweep import Sweep, keep_table, prepare_sweep, run_combination, run_sweep
from market_data_pipeline.backtest.sweep_results import KeptSweep, find_kept, list_sweeps
from market_data_pipeline.backtest.sweep_table import Row
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.errors import ConfigurationError, DataMissing, UsageError
from market_data_pipeline_tests.backtest.conftest import APPLE, HOLES
from market_data_pipeline_tests.backtest.made_bars import opened, walk

GRID = {"fast_period": [5, 20], "slow_period": [20, 40]}


def swept(series: str = APPLE, **options: object) -> BacktestSpec:
    return BacktestSpec.of({"name": "grid", "series": [series], "start": "2024-01-02", "end": "2024-01-31", "grid": GRID, **options})


def prepared(catalog: Catalog, results: Path, **options: object) -> Sweep:
    return prepare_sweep(catalog, swept(**options), results, lambda _: None)  # type: ignore[arg-type]


def ran(sweep: Sweep, processes: int = 2) -> list[Row]:
    with closing(run_sweep(sweep, processes)) as events:
        try:
            while True:
                next(events)
        except StopIteration as end:
            rows: list[Row] = end.value
    return rows


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sweep, list[Row]]:
    """A sweep of four combinations, of which the strategy refuses one: 20 is not less than 20."""
    results = tmp_path_factory.mktemp("results")
    with opened(root) as catalog:
        sweep = prepared(catalog, results)
        return results, sweep, ran(sweep)


def test_each_combination_is_the_backtest_that_runs_alone(whole: tuple[Path, Sweep, list[Row]], catalog: Catalog, tmp_path: Path) -> None:
    _, sweep, rows = whole
    alone = run_backtest(catalog, sweep.spec.with_settings({"fast_period": 5, "slow_period": 40}), tmp_path).result
    row = next(row for row in rows if row.values == {"fast_period": 5, "slow_period": 40})
    of_sweep = next(result for result in list_results(sweep.runs) if result.id == row.run)
    assert of_sweep.statistics == alone.statistics
    for part in ("bars_fingerprint", "definitions_fingerprint", "spec_fingerprint"):
        assert of_sweep.passport[part] == alone.passport[part]
    assert row.numbers["change"] == alone.statistics["equity"]["change"]
    assert row.numbers["orders"] == alone.statistics["orders"]["total"] > 20


def test_a_combination_that_fails_is_a_row_with_its_reason(whole: tuple[Path, Sweep, list[Row]]) -> None:
    _, sweep, rows = whole
    assert [row.outcome for row in rows] == ["finished", "finished", "failed", "finished"]
    assert "fast_period 20 must be less than slow_period 20" in rows[2].reason
    assert len(list_results(sweep.runs)) == 3


def test_all_combinations_stand_on_the_same_bars(whole: tuple[Path, Sweep, list[Row]]) -> None:
    _, sweep, _ = whole
    assert {result.passport["bars_fingerprint"] for result in list_results(sweep.runs)} == {sweep.evidence.bars_fingerprint}
    about = json.loads((sweep.folder / "sweep.json").read_text())
    assert about["bars_fingerprint"] == sweep.evidence.bars_fingerprint
    assert (about["combinations"], about["spec"]["grid"]) == (4, GRID)


def test_the_table_is_parquet_csv_and_markdown_with_a_picture(whole: tuple[Path, Sweep, list[Row]]) -> None:
    _, sweep, rows = whole
    table = pq.read_table(sweep.folder / "table.parquet")
    assert table.column_names[:4] == ["fast_period", "slow_period", "outcome", "change"]
    assert table["fast_period"].to_pylist() == [5, 5, 20, 20]
    assert table["change"].to_pylist() == [row.numbers.get("change") for row in rows]
    assert pa_csv.read_csv(sweep.folder / "table.csv")["outcome"].to_pylist() == ["finished", "finished", "failed", "finished"]
    lines = (sweep.folder / "table.md").read_text().splitlines()
    assert lines[0].startswith("| fast_period | slow_period | change |")
    assert len(lines) == 2 + 4
    assert "must be less than" in lines[-1]
    assert (sweep.folder / "map.png").read_bytes().startswith(b"\x89PNG")


def test_run_again_only_what_has_no_result_is_run(whole: tuple[Path, Sweep, list[Row]], catalog: Catalog) -> None:
    results, sweep, rows = whole
    before = sorted(path.name for path in sweep.runs.iterdir())
    again = prepared(catalog, results)
    assert again.folder == sweep.folder
    assert sorted(again.finished()) == [0, 1, 3]
    with closing(run_sweep(again, 1)) as events:
        assert [(event.number, event.done, event.of) for event in events] == [(2, 4, 4)]
    assert sorted(path.name for path in sweep.runs.iterdir()) == before
    assert list_sweeps(results)[0].rows == tuple(rows)


def test_a_sweep_and_its_backtests_are_found(whole: tuple[Path, Sweep, list[Row]], catalog: Catalog) -> None:
    results, sweep, rows = whole
    for wanted in ("grid", sweep.folder.name, "sweep-grid"):
        kept = find_kept(results, wanted)
        assert isinstance(kept, KeptSweep)
        assert kept.id == sweep.folder.name
    one = find_kept(results, rows[0].run)
    assert isinstance(one, BacktestResult)
    assert one.id == rows[0].run


def test_stopped_early_whole_results_stay_and_the_rest_is_run_later(catalog: Catalog, tmp_path: Path) -> None:
    sweep = prepared(catalog, tmp_path, grid={"fast_period": [5, 6, 7, 8], "slow_period": [40]})
    with closing(run_sweep(sweep, 1)) as events:
        next(events)
    [kept] = list_sweeps(tmp_path)
    # A second may have ended while it was told to stop.
    finished = kept.outcomes["finished"]
    assert finished in (1, 2)
    assert kept.outcomes["not run"] >= 2
    assert not list(sweep.runs.glob(".running-*"))
    assert [row.outcome for row in ran(prepared(catalog, tmp_path, grid=sweep.spec.grid))] == ["finished"] * 4
    assert len(list_results(sweep.runs)) == 4


@pytest.mark.parametrize("table", ["before all", "missing"])
def test_what_has_run_is_told_where_a_kill_left_an_older_table_or_none(catalog: Catalog, tmp_path: Path, table: str) -> None:
    sweep = prepared(catalog, tmp_path, grid={"fast_period": [5, 6, 7], "slow_period": [40]})
    if table == "before all":
        keep_table(sweep, {})
    run_combination(sweep, 0)
    run_combination(sweep, 2)
    [kept] = list_sweeps(tmp_path)
    assert [row.outcome for row in kept.rows] == ["finished", "not run", "finished"]
    assert kept.best is not None
    assert kept.best.numbers["change"] is not None


def test_the_death_of_a_process_is_a_row(catalog: Catalog, tmp_path: Path) -> None:
    strategy = {"path": "market_data_pipeline_tests.backtest.killing:Killing"}
    rows = ran(prepared(catalog, tmp_path, strategy=strategy, grid={"kill": [True, False]}), 1)
    assert [row.outcome for row in rows] == ["failed", "finished"]
    assert "worked on kill True was ended by SIGKILL" in rows[0].reason


def test_bars_that_change_meanwhile_are_not_mixed(tmp_path: Path) -> None:
    walk(tmp_path / "catalog", APPLE, "2024-01-02", "2024-01-12")
    with opened(tmp_path / "catalog") as catalog:
        sweep = prepared(catalog, tmp_path / "results", end="2024-01-12")
        walk(tmp_path / "catalog", APPLE, "2024-01-05", "2024-01-05", seed=9)
        rows = ran(sweep, 1)
        assert all(row.outcome == "failed" for row in rows)
        assert "were changed in the catalog while the sweep ran" in rows[0].reason
        assert prepared(catalog, tmp_path / "results", end="2024-01-12").folder != sweep.folder


def test_another_strategy_file_is_another_sweep(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a strategy does is not in its spec: results of an older one must not be taken for those of the newer."""
    source = "from market_data_pipeline.backtest.strategies.sma_cross import SmaCross, SmaCrossConfig\n"
    (tmp_path / "my_cross.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    strategy = {"path": "my_cross:SmaCross"}
    first = prepared(catalog, tmp_path / "results", strategy=strategy).folder
    assert prepared(catalog, tmp_path / "results", strategy=strategy).folder == first
    (tmp_path / "my_cross.py").write_text(f"{source}# changed\n")
    assert prepared(catalog, tmp_path / "results", strategy=strategy).folder != first


def test_what_cannot_be_swept_is_refused_before_anything_is_made(catalog: Catalog, tmp_path: Path) -> None:
    results = tmp_path / "results"
    with pytest.raises(ConfigurationError, match=r"has no fast_perod\. Did you mean fast_period\? It has: .*slow_period"):
        prepared(catalog, results, grid={"fast_perod": [5]})
    with pytest.raises(UsageError, match="has no grid, so there is nothing to sweep"):
        prepared(catalog, results, grid=None)
    with pytest.raises(DataMissing, match="2024-01-08 to 2024-01-09"):
        prepared(catalog, results, series=HOLES)
    with pytest.raises(UsageError, match=r"grid of 4 combinations.*mdp backtest sweep"):
        run_backtest(catalog, swept(), results)
    assert not results.exists()
