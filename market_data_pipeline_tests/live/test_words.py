from __future__ import annotations

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention
from market_data_pipeline.live.reach import Hole
from market_data_pipeline.live.words import HoleWords
from market_data_pipeline_tests.instants import dates, ns

SERIES = Series.of("AAPL.NASDAQ", "15-MINUTE-LAST")


def words(stored: Convention | None) -> str:
    partitions = partitions_of(SERIES)
    position = partitions.index_of(dates("2024-01-05")[0])
    assert position is not None
    hole = Hole(range(position, position + 1), 26, ns("2024-01-05 14:30"), ns("2024-01-05 21:00"), has_bars_before=True)
    return str(HoleWords(partitions, hole, SERIES, asks=True, stored=stored))


def test_a_hole_is_filled_by_the_broker_where_its_bars_would_be_taken() -> None:
    for stored in (None, Convention("rth", "split"), Convention("rth", "simulated")):
        assert "mdp load AAPL.NASDAQ 15-MINUTE-LAST --mode full --start 2024-01-05" in words(stored)


def test_raw_prices_of_a_stock_are_filled_by_a_file() -> None:
    assert "mdp import-csv FILE --instrument AAPL.NASDAQ --bar 15-MINUTE-LAST (its prices are stored as raw" in words(Convention("rth", "raw"))
