"""Nautilus' tearsheet: one HTML file that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from market_data_pipeline.backtest.engine import Finished
    from market_data_pipeline.backtest.equity import EquityCurve


def write_tearsheet(path: Path, title: str, finished: Finished, statistics: dict[str, Any], curve: EquityCurve) -> None:
    """Write the tearsheet of a run.

    Of several venues Nautilus would show the last one's account and all trades under it; here each venue's numbers stand under its
    name, and the curves are those of all accounts together.

    Args:
        path: Where to.
        title: What stands above it.
        finished: The run.
        statistics: What `statistics_of` says of it.
        curve: Its equity.
    """
    from nautilus_trader.analysis.tearsheet import create_tearsheet, create_tearsheet_from_stats

    accounts: dict[str, dict[str, Any]] = statistics["accounts"]
    if len(accounts) == 1:
        create_tearsheet(finished.engine, output_path=str(path), title=title)
        return
    result = finished.result
    create_tearsheet_from_stats(
        stats_pnls={f"{venue}, {currency}": pnl for venue, account in accounts.items() for currency, pnl in account["pnl"].items()},
        stats_returns={f"{venue}: {name}": value for venue, account in accounts.items() for name, value in account["returns"].items()},
        stats_general={f"{venue}: {name}": value for venue, account in accounts.items() for name, value in account["general"].items()},
        returns=_daily_returns(curve),
        output_path=str(path),
        title=title,
        run_info={
            "Bars": f"{result.iterations:,}",
            "Orders": f"{statistics['orders']['total']:,}",
            "Fills": f"{statistics['fills']:,}",
            "Positions": f"{statistics['positions']:,}",
            "Curves": f"all accounts, {curve.currency}, {curve.basis}",
        },
        account_info={
            f"{venue}: {name} ({currency})": f"{balance[name]:,.2f}"
            for venue, account in accounts.items()
            for currency, balance in account["balances"].items()
            for name in ("start", "end", "commissions")
        },
    )


def _daily_returns(curve: EquityCurve) -> pd.Series[float]:
    """Return the change from one UTC day's last equity to the next's, indexed by day."""
    import pandas as pd

    daily = curve.daily()
    equity = pd.Series(daily["equity"].to_numpy(), index=pd.DatetimeIndex(daily["time"].to_pandas()).normalize())
    return equity.pct_change().dropna()
