"""Backtests over the Parquet catalog by Nautilus' own engine, each with a passport that says on exactly which bars it stands."""

from market_data_pipeline.backtest.results import BacktestResult, find_result, list_results, load_result
from market_data_pipeline.backtest.run import BacktestOutcome, run_backtest
from market_data_pipeline.backtest.spec import BacktestSpec

__all__ = ["BacktestOutcome", "BacktestResult", "BacktestSpec", "find_result", "list_results", "load_result", "run_backtest"]
