"""Sample data: CSV files with invented prices on the real sessions of the first quarter of 2024.

    write_samples(Path("data/samples"))

Prices are a seeded random walk, so that every machine tries the pipeline on the same bars with no account and no download.
"""

from __future__ import annotations

from market_data_pipeline.samples.files import SamplesWritten, write_samples

__all__ = ["SamplesWritten", "write_samples"]
