"""What a backtest shows is named so that it can be read."""

from __future__ import annotations

from market_data_pipeline.orchestration.backtests import short_names


def test_what_one_account_in_one_currency_says_is_named_without_them() -> None:
    named = {"bars": 1.0, "accounts/NASDAQ/pnl/USD/PnL (total)": 2.0, "accounts/NASDAQ/returns/Profit Factor": 3.0, "equity/end": 4.0}
    assert short_names(named) == {"bars": 1.0, "pnl/PnL (total)": 2.0, "returns/Profit Factor": 3.0, "equity/end": 4.0}


def test_several_accounts_or_currencies_keep_their_names() -> None:
    two_accounts = {"accounts/NASDAQ/pnl/USD/PnL (total)": 1.0, "accounts/ARCA/pnl/USD/PnL (total)": 2.0}
    assert short_names(two_accounts) == two_accounts
    two_currencies = {"accounts/SIM/balances/USD/end": 1.0, "accounts/SIM/balances/EUR/end": 2.0}
    assert short_names(two_currencies) == two_currencies
