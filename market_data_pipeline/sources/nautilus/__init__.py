"""Catalogs that other programs wrote with Nautilus (v1): read with Arrow alone, whatever is wrong with them, and never touched.

Nautilus itself ends the process on a bad file, so it is asked for nothing but the fields of instruments, and that in a process of its own.
"""

from __future__ import annotations

from market_data_pipeline.sources.nautilus.bar_files import BadBarFile, SoundBarFile
from market_data_pipeline.sources.nautilus.instruments import FoundInstrument, find_instruments
from market_data_pipeline.sources.nautilus.merging import BarConflict, Merged, Order
from market_data_pipeline.sources.nautilus.series import ForeignSeries, LeftOut, inspect
from market_data_pipeline.sources.nautilus.tree import ForeignCatalog, NotAdopted

__all__ = [
    "BadBarFile",
    "BarConflict",
    "ForeignCatalog",
    "ForeignSeries",
    "FoundInstrument",
    "LeftOut",
    "Merged",
    "NotAdopted",
    "Order",
    "SoundBarFile",
    "find_instruments",
    "inspect",
]
