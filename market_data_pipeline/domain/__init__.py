"""Pure rules: bar types, sessions, windows, coverage, gaps, quality. No I/O, no Dagster, no Nautilus objects."""
