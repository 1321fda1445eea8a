"""Trades of the crossover, calculated by hand."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from market_data_pipeline.backtest import BacktestOutcome, run_backtest
from market_data_pipeline_tests.backtest.conftest import spec
from market_data_pipeline_tests.backtest.made_bars import by_hand, opened

DAYS = "AAPL.NASDAQ-1-DAY-LAST-EXTERNAL"
SESSIONS = ("2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09", "2024-01-10", "2024-01-11", "2024-01-12")
CLOSES = (100.0, 101.0, 102.0, 100.0, 97.0, 98.0, 102.0, 105.0, 99.0)
# Averages of 2 and 3 closes (the slow one first exists on 01-04):
#   01-04: 101.5   > 101.0     above: seen, no cross
#   01-05: 101.0   = 101.0     equal: no cross
#   01-08:  98.5   <  99.67    below: cross, sell at 97
#   01-09:  97.5   <  98.33
#   01-10: 100.0   >  99.0     above: cross, buy at 102
#   01-11: 103.5   > 101.67
#   01-12: 102.0   = 102.0     equal; then the end of the run closes at 99
TRADES = [("2024-01-08", "SELL", 97.0), ("2024-01-10", "BUY", 102.0), ("2024-01-12", "SELL", 99.0)]


def run(tmp_path: Path, **options: object) -> BacktestOutcome:
    by_hand(tmp_path / "catalog", DAYS, SESSIONS, CLOSES)
    with opened(tmp_path / "catalog") as catalog:
        return run_backtest(catalog, spec(DAYS, start=SESSIONS[0], end=SESSIONS[-1], **options), tmp_path / "results")


def orders(outcome: BacktestOutcome) -> list[tuple[str, str, float, float]]:
    table = pq.read_table(outcome.folder / "orders.parquet").to_pylist()
    return [(f"{row['ts_init']:%Y-%m-%d}", row["side"], row["filled_qty"], row["avg_px"]) for row in table]


def test_it_trades_where_the_averages_cross(tmp_path: Path) -> None:
    """Short 100 from 97 to 102 loses 500, long 100 from 102 to 99 loses 300."""
    outcome = run(tmp_path, strategy={"config": {"fast_period": 2, "slow_period": 3, "trade_size": 100}})
    assert orders(outcome) == [(*TRADES[0][:2], 100.0, 97.0), (*TRADES[1][:2], 200.0, 102.0), (*TRADES[2][:2], 100.0, 99.0)]
    account = outcome.result.statistics["accounts"]["NASDAQ"]
    assert account["balances"]["USD"] == {"start": 1_000_000.0, "end": 999_200.0, "commissions": 0.0}
    assert account["pnl"]["USD"]["PnL (total)"] == -800.0


def test_without_shorts_it_stays_flat_below(tmp_path: Path) -> None:
    outcome = run(tmp_path, account_type="CASH", strategy={"config": {"fast_period": 2, "slow_period": 3, "allow_short": False}})
    assert orders(outcome) == [(*TRADES[1][:2], 100.0, 102.0), (*TRADES[2][:2], 100.0, 99.0)]
    assert outcome.result.refused == {}


def test_equity_is_marked_at_each_close(tmp_path: Path) -> None:
    """From 01-08: short 100 at 97; 01-09 at 98 is -100; 01-10 at 102 is -500; 01-11 long at 105 is -500 + 300; 01-12 at 99 is -800.

    The largest drawdown is the last: 800 of 1,000,000.
    """
    outcome = run(tmp_path, strategy={"config": {"fast_period": 2, "slow_period": 3, "trade_size": 100}})
    equity = pq.read_table(outcome.folder / "equity.parquet")
    assert equity["equity"].to_pylist() == pytest.approx([1e6, 1e6, 1e6, 1e6, 1e6, 999_900, 999_500, 999_800, 999_200])
    told = outcome.result.statistics["equity"]
    assert (told["basis"], told["start"], told["end"], told["largest_drawdown"]) == ("marked at each close", 1e6, 999_200.0, pytest.approx(-0.0008))


@pytest.mark.parametrize(
    ("fees", "paid"),
    [
        ({"fixed": "1.00 USD"}, 3.0),
        ({"per_unit": "0.01 USD"}, 4.0),
        # Market orders take: 97 * 100 + 102 * 200 + 99 * 100 = 40,000, of which a thousandth.
        ({"maker": "0", "taker": "0.001"}, 40.0),
    ],
    ids=["fixed", "per unit", "rates"],
)
def test_fees_of_the_spec_are_charged(tmp_path: Path, fees: dict[str, str], paid: float) -> None:
    outcome = run(tmp_path, fees=fees, strategy={"config": {"fast_period": 2, "slow_period": 3, "trade_size": 100}})
    balance = outcome.result.statistics["accounts"]["NASDAQ"]["balances"]["USD"]
    assert (balance["commissions"], balance["end"]) == (paid, 999_200.0 - paid)
