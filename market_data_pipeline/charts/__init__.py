"""Pictures as PNG bytes: coverage of a series, equity of a backtest, bars of a session. No window, no global state."""
