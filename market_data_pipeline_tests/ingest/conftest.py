"""Catalogs to import into."""

from market_data_pipeline_tests.catalog.conftest import catalog, week

__all__ = ["catalog", "week"]
