"""CSV files as a source of bars.

    layout = LAYOUTS["ibkr-closes"]
    with CsvSource([Path("EURUSD.csv")], layout) as source:
        bars = source.open(series, partitions_of(series), Precision(price=5, size=2))
        for answer in bars.answers():
            ...

Every row is parsed and checked before the first answer: numbers exactly, from text; times to UTC by the layout's convention. Bad rows
refuse the file (`BadRows`) or are set aside in a rejects file. Values wait on disk, so memory grows by 8 bytes a row.
"""

from __future__ import annotations

from market_data_pipeline.sources.csv.bars import CsvBars
from market_data_pipeline.sources.csv.known_layouts import LAYOUTS
from market_data_pipeline.sources.csv.layout import CsvLayout, Stamp, layout_from_mapping, layout_of, read_layout
from market_data_pipeline.sources.csv.recognition import Declared, Question, Verdict, recognise
from market_data_pipeline.sources.csv.report import BadRow, BadRowSummary
from market_data_pipeline.sources.csv.source import CsvSource

__all__ = [
    "LAYOUTS",
    "BadRow",
    "BadRowSummary",
    "CsvBars",
    "CsvLayout",
    "CsvSource",
    "Declared",
    "Question",
    "Stamp",
    "Verdict",
    "layout_from_mapping",
    "layout_of",
    "read_layout",
    "recognise",
]
