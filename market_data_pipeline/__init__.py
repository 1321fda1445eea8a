"""Market data a trader can trust: bars from CSV files and Interactive Brokers in a Nautilus Parquet catalog, with Dagster."""

__version__ = "0.1.0"
