"""The Parquet catalog: bar files that any Nautilus tool reads, the ledger that says what they cover, and instruments."""

from market_data_pipeline.catalog.availability import Availability
from market_data_pipeline.catalog.catalog import Catalog
from market_data_pipeline.catalog.ledger import SessionRow

__all__ = ["Availability", "Catalog", "SessionRow"]
