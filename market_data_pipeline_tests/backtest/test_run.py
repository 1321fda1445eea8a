from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq
import pytest
from nautilus_trader.backtest.config import BacktestDataConfig, BacktestEngineConfig, BacktestRunConfig, BacktestVenueConfig
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.config import ImportableStrategyConfig, LoggingConfig
from nautilus_trader.model.data import Bar

from market_data_pipeline.backtest import BacktestSpec, run_backtest
from market_data_pipeline.backtest.results import list_results
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.errors import (
    BacktestFailed,
    ConfigurationError,
    CorruptFile,
    DataMissing,
    InstrumentNotFound,
    InvalidDate,
    PrecisionMismatch,
)
from market_data_pipeline_tests.backtest.conftest import APPLE, EURO, HOLES, MICROSOFT, Run, spec
from market_data_pipeline_tests.backtest.made_bars import import_euros, opened, walk

if TYPE_CHECKING:
    from nautilus_trader.backtest.results import BacktestResult

CROSS = "market_data_pipeline.backtest.strategies.sma_cross:SmaCross"
FILES = {
    "account.parquet",
    "equity.parquet",
    "equity.png",
    "fills.parquet",
    "orders.parquet",
    "passport.json",
    "positions.parquet",
    "spec.yaml",
    "statistics.json",
    "tearsheet.html",
}


def bare_node(root: Path, bar_types: dict[str, tuple[str, str]], fast: int = 5, slow: int = 20, size: str = "100") -> BacktestResult:
    """Run Nautilus' node as its documentation does, all data at once, over a UTC start and end for each bar type."""
    venues = {bar_type.partition("-")[0].rpartition(".")[2] for bar_type in bar_types}
    config = BacktestRunConfig(
        venues=[
            BacktestVenueConfig(name=name, oms_type="NETTING", account_type="MARGIN", base_currency="USD", starting_balances=["1000000 USD"])
            for name in venues
        ],
        data=[
            BacktestDataConfig(catalog_path=str(root), data_cls=Bar, bar_types=[bar_type], start_time=start, end_time=end)
            for bar_type, (start, end) in bar_types.items()
        ],
        engine=BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            strategies=[
                ImportableStrategyConfig(
                    CROSS,
                    f"{CROSS}Config",
                    {"instrument_id": one.partition("-")[0], "bar_type": one, "fast_period": fast, "slow_period": slow, "trade_size": size},
                )
                for one in bar_types
            ],
        ),
        raise_exception=True,
        dispose_on_completion=False,  # disposed of, it counts no orders (FACTS 8)
    )
    node = BacktestNode([config])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Timestamp.utcnow")
        [result] = node.run()
    node.dispose()  # type: ignore[no-untyped-call]
    return result


def test_statistics_are_those_of_a_bare_node(root: Path, run: Run) -> None:
    """Sessions 4 to 30 January; their bars lie between 14:30 and 21:00 UTC."""
    ours = run(APPLE, start="2024-01-04", end="2024-01-30").result
    bare = bare_node(root, {APPLE: ("2024-01-04T00:00:00Z", "2024-01-30T23:59:59Z")})
    account = ours.statistics["accounts"]["NASDAQ"]
    assert account["pnl"] == bare.stats_pnls
    assert account["returns"] == bare.stats_returns
    assert (ours.statistics["bars"], ours.statistics["positions"]) == (bare.iterations, bare.total_positions)
    assert ours.statistics["orders"]["total"] == bare.total_orders > 20


def test_several_instruments_run_each_with_its_own_strategy(root: Path, run: Run) -> None:
    """Two shares share one account; a pair on another venue has its own."""
    span = ("2024-01-01T00:00:00Z", "2024-01-31T23:59:59Z")
    outcome = run(APPLE, MICROSOFT, EURO)
    accounts = outcome.result.statistics["accounts"]
    shares = bare_node(root, {APPLE: span, MICROSOFT: span})
    # The order of summing differs, in the last of 16 digits.
    assert accounts["NASDAQ"]["pnl"]["USD"] == pytest.approx(shares.stats_pnls["USD"], rel=1e-12)
    assert accounts["NASDAQ"]["returns"] == pytest.approx(shares.stats_returns, rel=1e-12)
    assert accounts["IDEALPRO"]["pnl"]["USD"] == pytest.approx(bare_node(root, {EURO: span}).stats_pnls["USD"], rel=1e-12)
    page = (outcome.folder / "tearsheet.html").read_text(encoding="utf-8")
    assert all(words in page for words in ("PnL Statistics (IDEALPRO, USD)", "NASDAQ: Sharpe Ratio (252 days)", "all accounts, USD"))
    fills = pq.read_table(outcome.folder / "fills.parquet")
    assert set(zip(fills["instrument_id"].to_pylist(), fills["strategy_id"].to_pylist(), strict=True)) == {
        ("AAPL.NASDAQ", "SmaCross-000"),
        ("MSFT.NASDAQ", "SmaCross-001"),
        ("EUR/USD.IDEALPRO", "SmaCross-002"),
    }


def test_a_year_of_real_euros_gives_the_statistics_of_a_bare_node(market_data: Path, tmp_path: Path) -> None:
    """EUR/USD of 2024 in 15 minutes, as a trader exported it: bar closes with New York offsets."""
    import_euros(market_data / "ibkr-csv" / "EUR-USD_EUR_USD_IDEALPRO_15_MINUTE_MID_EXTERNAL.csv", tmp_path / "catalog", "2024-01-02", "2024-12-31")
    with opened(tmp_path / "catalog") as catalog:
        asked = spec(EURO, end="2024-12-31", strategy={"config": {"trade_size": 100_000}}, allow_gaps=True)
        ours = run_backtest(catalog, asked, tmp_path / "results").result.statistics
    bare = bare_node(tmp_path / "catalog", {EURO: ("2024-01-01T23:00:00Z", "2024-12-31T22:00:00Z")}, 40, 260, "100000")
    assert ours["bars"] == bare.iterations > 24_000
    assert ours["accounts"]["IDEALPRO"]["pnl"] == bare.stats_pnls
    assert ours["accounts"]["IDEALPRO"]["returns"] == bare.stats_returns


def test_the_same_inputs_give_the_same_fingerprints_and_results(run: Run) -> None:
    first, second = run(APPLE, EURO), run(APPLE, EURO)
    assert first.folder != second.folder
    for part in ("bars_fingerprint", "definitions_fingerprint", "spec_fingerprint"):
        assert first.result.passport[part] == second.result.passport[part]
    assert first.result.statistics == second.result.statistics
    for name in ("orders", "fills", "positions", "account", "equity"):
        assert (first.folder / f"{name}.parquet").read_bytes() == (second.folder / f"{name}.parquet").read_bytes()


def test_one_unit_of_volume_changes_the_fingerprint(tmp_path: Path) -> None:
    told = []
    for name, nudge in (("one", None), ("same", None), ("nudged", "2024-01-04")):
        walk(tmp_path / name, APPLE, "2024-01-02", "2024-01-05", nudge=nudge)
        with opened(tmp_path / name) as catalog:
            told.append(run_backtest(catalog, spec(APPLE, start="2024-01-02", end="2024-01-05"), tmp_path / "results").result.passport)
    assert told[0]["bars_fingerprint"] == told[1]["bars_fingerprint"] != told[2]["bars_fingerprint"]
    assert told[0]["spec_fingerprint"] == told[2]["spec_fingerprint"]


def test_bars_outside_the_range_do_not_count(tmp_path: Path, run: Run) -> None:
    """The sessions of 2 to 5 January have the same bars whether later ones are stored or not."""
    walk(tmp_path / "short", APPLE, "2024-01-02", "2024-01-05")
    with opened(tmp_path / "short") as catalog:
        alone = run_backtest(catalog, spec(APPLE, end="2024-01-05"), tmp_path / "results")
    assert run(APPLE, end="2024-01-05").result.passport["bars_fingerprint"] == alone.result.passport["bars_fingerprint"]


def test_the_folder_holds_everything(run: Run) -> None:
    outcome = run(APPLE)
    assert {path.name for path in outcome.folder.iterdir()} == FILES
    assert outcome.equity_png == (outcome.folder / "equity.png").read_bytes()
    assert outcome.equity_png.startswith(b"\x89PNG")
    page = (outcome.folder / "tearsheet.html").read_text(encoding="utf-8")
    assert "cdn.plot.ly" not in page.partition("<body>")[0]
    assert "cross, 2024-01-02 to 2024-01-31" in page
    again = BacktestSpec.read(outcome.folder / "spec.yaml")
    assert again.fingerprint() == outcome.result.passport["spec_fingerprint"]


def test_tables_hold_numbers_and_times(run: Run) -> None:
    outcome = run(APPLE)
    statistics = outcome.result.statistics
    orders, fills, positions, account = (
        pq.read_table(outcome.folder / f"{name}.parquet").to_pandas() for name in ("orders", "fills", "positions", "account")
    )
    assert (len(orders), len(fills), len(positions)) == (statistics["orders"]["total"], statistics["fills"], statistics["positions"])
    assert orders["quantity"].sum() == pytest.approx(fills["last_qty"].sum())
    assert positions["realized_pnl"].sum() == pytest.approx(statistics["accounts"]["NASDAQ"]["pnl"]["USD"]["PnL (total)"], abs=0.01)
    assert account["total"].iloc[-1] == statistics["accounts"]["NASDAQ"]["balances"]["USD"]["end"]
    assert fills["ts_event"].is_monotonic_increasing
    assert str(fills["ts_event"].dtype) == "datetime64[ns, UTC]"


def test_a_strategy_that_never_trades_has_a_result_too(run: Run) -> None:
    outcome = run(APPLE, strategy={"config": {"fast_period": 900, "slow_period": 1_000}})
    statistics = outcome.result.statistics
    assert (statistics["orders"], statistics["fills"], statistics["equity"]["change"]) == ({"total": 0}, 0, 0.0)
    assert pq.read_schema(outcome.folder / "fills.parquet").names[0] == "client_order_id"
    assert json.loads((outcome.folder / "statistics.json").read_text(), parse_constant=pytest.fail)


def test_the_passport_says_on_what_a_result_stands(run: Run, root: Path) -> None:
    """January 2024 on NASDAQ: 21 sessions of 26 quarters of an hour (closed on 1 and 15 January)."""
    passport = run(APPLE, seed=7).result.passport
    [series] = passport["series"]
    fingerprint = series.pop("fingerprint")
    assert len(fingerprint) == 32
    assert series == {
        "series": APPLE,
        "hours": "all",
        "adjustment": "raw",
        "sessions": 21,
        "complete": 21,
        "empty": 0,
        "missing": 0,
        "gaps": [],
        "bars": 21 * 26,
        "first_open": "2024-01-02T14:30:00.000000000Z",
        "last_close": "2024-01-31T21:00:00.000000000Z",
    }
    assert (passport["gap_verdict"], passport["seed"], passport["bars"], passport["catalog"]) == ("complete", 7, 21 * 26, str(root))
    assert passport["instruments"]["AAPL.NASDAQ"]["price_precision"] == 2
    assert passport["versions"]["nautilus_trader"].startswith("1.2")
    assert set(passport["versions"]) == {"python", "market_data_pipeline", "nautilus_trader", "numpy", "pandas", "pyarrow"}
    assert passport["spec"]["strategy"]["config"] == {"fast_period": 5, "slow_period": 20}


def test_gaps_are_refused_with_the_command_that_fills_them(run: Run, tmp_path: Path) -> None:
    with pytest.raises(DataMissing) as refused:
        run(APPLE, HOLES)
    message = str(refused.value)
    assert (
        "AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL: 3 sessions in 2 gaps\n    2024-01-08 to 2024-01-09 (2 sessions)\n    2024-01-17 (1 session)" in message
    )
    assert "mdp import-csv FILE --instrument AAPL.NASDAQ --bar 5-MINUTE-LAST" in message
    assert "--allow-gaps" in message
    assert APPLE not in message
    assert not (tmp_path / "results").exists()


def test_allowed_gaps_are_in_the_passport(run: Run) -> None:
    passport = run(HOLES, allow_gaps=True).result.passport
    assert passport["gap_verdict"] == "gaps allowed"
    [series] = passport["series"]
    assert (series["sessions"], series["complete"], series["missing"], series["bars"]) == (21, 18, 3, 18 * 78)
    assert series["gaps"] == [
        {"first": "2024-01-08", "last": "2024-01-09", "sessions": 2},
        {"first": "2024-01-17", "last": "2024-01-17", "sessions": 1},
    ]


def test_sessions_still_to_come_are_gaps(run: Run) -> None:
    """A range that ends after the last stored session is not silently shorter."""
    with pytest.raises(DataMissing, match=r"2024-02-01 to 2024-02-02 \(2 sessions\)"):
        run(APPLE, end="2024-02-02")


def test_nothing_stored_at_all_is_refused_even_if_gaps_are_allowed(run: Run) -> None:
    with pytest.raises(DataMissing, match=r"There is no bar of .*mdp check AAPL\.NASDAQ"):
        run("AAPL.NASDAQ-1-HOUR-LAST-EXTERNAL", allow_gaps=True)


def test_a_range_without_sessions_is_refused(run: Run) -> None:
    """6 and 7 January 2024 were a weekend."""
    with pytest.raises(InvalidDate, match="2024-01-06 and 2024-01-07"):
        run(APPLE, start="2024-01-06", end="2024-01-07")


def test_an_instrument_without_definition_is_refused(run: Run) -> None:
    with pytest.raises(InstrumentNotFound, match=r'id: "TSLA\.NASDAQ"'):
        run("TSLA.NASDAQ-15-MINUTE-LAST-EXTERNAL", allow_gaps=True)


def test_what_the_broker_would_be_refused_for_is_not_advised(run: Run) -> None:
    """The stored prices are raw, IBKR's are adjusted for splits; currencies have neither."""
    with pytest.raises(DataMissing) as error:
        run(HOLES)
    assert "mdp load" not in str(error.value)
    assert "Import a CSV:\n  mdp import-csv FILE --instrument AAPL.NASDAQ --bar 5-MINUTE-LAST" in str(error.value)
    with pytest.raises(DataMissing, match=r"mdp load EUR/USD\.IDEALPRO 15-MINUTE-MID --mode full --start 2024-02-01"):
        run(EURO, end="2024-02-02")


def test_data_that_is_not_there_names_the_broker_and_the_file_that_would_bring_it(run: Run) -> None:
    with pytest.raises(DataMissing) as error:
        run("TSLA.NASDAQ-15-MINUTE-LAST-EXTERNAL")
    assert str(error.value).startswith("Data not found for TSLA:")
    assert "docker compose -f deploy/docker-compose.yml up -d ib-gateway" in str(error.value)
    assert "mdp load TSLA.NASDAQ 15-MINUTE-LAST --mode full --start 2024-01-02" in str(error.value)
    assert "mdp import-csv FILE --instrument TSLA.NASDAQ --bar 15-MINUTE-LAST" in str(error.value)


def test_fetching_first_does_not_change_what_a_spec_asks_for() -> None:
    assert spec(APPLE, fetch=True).fingerprint() == spec(APPLE).fingerprint()


def test_a_cash_account_shows_what_it_rejected(run: Run) -> None:
    refused = run(APPLE, account_type="CASH").result.refused
    assert list(refused) == ["rejected: SHORT SELLING not permitted on a CASH account"]
    assert refused["rejected: SHORT SELLING not permitted on a CASH account"] > 0


def test_profits_that_nautilus_would_not_book_are_refused(run: Run, tmp_path: Path) -> None:
    """Nautilus leaves a dollar account as it is when a pair quoted in yen is traded: its statistics would all be zero."""
    walk(tmp_path / "yen", "GBP/JPY.IDEALPRO-15-MINUTE-MID-EXTERNAL", "2024-01-02", "2024-01-05", price=180_000)
    yen = {"start": "2024-01-02", "end": "2024-01-05"}
    with opened(tmp_path / "yen") as catalog:
        with pytest.raises(ConfigurationError, match=r'earns and loses JPY.*starting_balances: \["1000000 JPY"\]'):
            run_backtest(catalog, spec("GBP/JPY.IDEALPRO-15-MINUTE-MID", **yen), tmp_path / "results")
        outcome = run_backtest(catalog, spec("GBP/JPY.IDEALPRO-15-MINUTE-MID", starting_balances=["100000000 JPY"], **yen), tmp_path / "results")
    assert outcome.result.statistics["accounts"]["IDEALPRO"]["balances"]["JPY"]["end"] != 100_000_000
    assert outcome.result.statistics["equity"]["basis"] == "marked at each close"


def test_bars_of_other_decimals_than_the_instrument_are_refused_before_the_engine_stops_on_them(tmp_path: Path) -> None:
    from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define

    walk(tmp_path / "catalog", APPLE, "2024-01-02", "2024-01-05")
    finer = {"id": "AAPL.NASDAQ", "type": "equity", "currency": "USD", "price_precision": 4}
    with opened(tmp_path / "catalog") as catalog:
        catalog.instruments.put(define("AAPL.NASDAQ", InstrumentDefinitions.model_validate({"instruments": [finer]})), "test")
        with pytest.raises(PrecisionMismatch, match=r"2 price and 0 size decimals, its instrument has 4 and 0"):
            run_backtest(catalog, spec(APPLE, end="2024-01-05"), tmp_path / "results")


def test_a_broken_file_stops_the_run_and_not_the_process(tmp_path: Path) -> None:
    """Flipped bytes in a page abort the process if Nautilus reads them (FACTS 2)."""
    series = walk(tmp_path / "catalog", APPLE, "2024-01-02", "2024-01-05")
    victim = sorted((tmp_path / "catalog" / "data" / "bar" / series.folder).iterdir())[1]
    content = bytearray(victim.read_bytes())
    content[60] ^= 0xFF
    victim.write_bytes(content)
    with opened(tmp_path / "catalog") as catalog, pytest.raises((CorruptFile, DataMissing)):
        run_backtest(catalog, spec(APPLE, end="2024-01-05"), tmp_path / "results")
    assert list_results(tmp_path / "results") == []


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        ({"path": "no.such.module:Cross"}, r"no\.such\.module cannot be imported"),
        ({"path": "json:Cross"}, r"json has no Cross"),
        ({"path": "json:JSONDecoder", "config_path": "json:JSONEncoder"}, r"no Nautilus configuration"),
        ({"config": {"fast": 5}}, r"has no fast\. It has: .*fast_period"),
        ({"config": {"fast_period": 20, "slow_period": 5}}, r"fast_period 20 must be less than slow_period 5"),
        ({"config": {"fast_period": "many"}}, r"refuses its configuration"),
    ],
    ids=["module", "class", "configuration class", "key", "values", "type"],
)
def test_a_strategy_that_cannot_be_made_is_told(run: Run, strategy: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        run(APPLE, strategy=strategy)


BROKEN = """
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import BarType
from nautilus_trader.trading.strategy import Strategy

class FailsConfig(StrategyConfig, frozen=True):
    bar_type: BarType
    when: str

class Fails(Strategy):
    def on_start(self):
        if self.config.when == "start":
            raise RuntimeError("no start today")
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar):
        if self.config.when == "bar":
            raise KeyError("no such thing")
"""


@pytest.mark.parametrize(("when", "told"), [("start", "no start today"), ("bar", "KeyError: 'no such thing'")])
def test_a_strategy_that_fails_is_heard(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, told: str) -> None:
    """Nautilus' node only logs it, and gives an empty list. The strategy lies where the user stands, not on the module path."""
    (tmp_path / "my_failing_strategy.py").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(BacktestFailed, match=told):
        run(APPLE, strategy={"path": "my_failing_strategy:Fails", "config": {"when": when}})
    assert not (tmp_path / "results").exists()


def test_a_result_that_cannot_be_finished_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import market_data_pipeline.backtest.run as module

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_tearsheet", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(APPLE)
    assert list((tmp_path / "results").iterdir()) == []


def test_a_users_settings_of_pandas_stay(run: Run) -> None:
    before = pd.get_option("mode.string_storage")
    run(APPLE, end="2024-01-05")
    assert pd.get_option("mode.string_storage") == before


def test_progress_is_told_in_words(catalog: Catalog, tmp_path: Path) -> None:
    told: list[str] = []
    run_backtest(catalog, spec(APPLE, end="2024-01-05"), tmp_path / "results", told.append)
    assert told == [f"Checking {APPLE}", "Running cross on 104 bars", "Writing the result"]


def test_importing_the_package_does_not_import_nautilus() -> None:
    """`mdp backtest list` needs none of it."""
    program = (
        "import sys, market_data_pipeline.backtest; print([name for name in ('nautilus_trader', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
