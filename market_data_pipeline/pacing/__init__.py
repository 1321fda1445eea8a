"""When the next request may go: one table for all processes that share an account."""

from market_data_pipeline.pacing.profile_file import read_profile
from market_data_pipeline.pacing.table import PacingTable, default_place

__all__ = ["PacingTable", "default_place", "read_profile"]
