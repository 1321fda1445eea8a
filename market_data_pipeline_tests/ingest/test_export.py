"""Exports as a use case: what is said of bars that are no market's, memory that does not grow, and an end in the middle."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import DAY_NS, BarSpec, Series
from market_data_pipeline.domain.coverage import SIMULATED, Convention, Coverage, Provenance, SessionAnswer
from market_data_pipeline.domain.errors import IncompleteRange
from market_data_pipeline.domain.quality import measure
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.export import Exported, Exporting, How, Target, export_to_files, refuse_incomplete, select
from market_data_pipeline.ingest.export_columns import Numbers, StampedAt, columns_of, decimal_text, exact_type
from market_data_pipeline.ingest.export_sinks import ROWS_AT_ONCE, Format
from market_data_pipeline_tests.cli.stored import MINUTES, minutes, store_whole

CRYPTO = Series.of("BTCUSDT.BINANCE", "1-MINUTE-LAST")


def exported(root: Path, file: Path, how: How) -> Exported:
    """Export the minutes of a catalog and return what became of it."""
    catalog = Catalog.open(root)
    last = list(export_to_files(catalog, [Target(select(catalog, MINUTES), file)], how))[-1]
    catalog.ledger.close()
    assert isinstance(last, Exported)
    return last


def test_simulated_prices_say_so_in_the_file(tmp_path: Path) -> None:
    catalog, date = Catalog.open(tmp_path / "catalog"), dt.date(2024, 2, 5)
    partitions, bars = partitions_of(MINUTES), minutes("2024-02-05")
    position = partitions.index_of(date)
    assert position is not None
    provenance = Provenance("ibkr", "a test", Convention("rth", SIMULATED))
    with catalog.writer(MINUTES, Precision(2, 0), provenance) as writer:
        writer.store(SessionAnswer(date, bars, Coverage.COMPLETE, measure(bars, partitions, position)))
    catalog.ledger.close()
    exported(tmp_path / "catalog", tmp_path / "out.parquet", How(Format.PARQUET))
    told = pq.read_schema(tmp_path / "out.parquet").metadata
    assert (told[b"adjustment"], told[b"hours"], told[b"sources"]) == (b"simulated", b"rth", b"ibkr")


def test_pieces_do_not_grow_with_the_export(tmp_path: Path) -> None:
    """260 whole NYSE sessions of 390 minutes are 101,400 bars: more than one piece holds."""
    dates = partitions_of(MINUTES).dates_between(dt.date(2022, 1, 3), dt.date(2023, 2, 28))
    whole = [str(date) for date in dates if str(date) != "2022-11-25"][:260]
    store_whole(tmp_path / "catalog", whole)
    exported(tmp_path / "catalog", tmp_path / "out.parquet", How(Format.PARQUET))
    file = pq.ParquetFile(tmp_path / "out.parquet")
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sum(groups) == 260 * 390
    assert len(groups) == 2
    assert max(groups) < ROWS_AT_ONCE + 390


def test_an_export_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    catalog = store_whole(tmp_path / "catalog", ["2024-02-05", "2024-02-06"])
    (tmp_path / "out").mkdir()
    target = Target(select(catalog, MINUTES), tmp_path / "out" / "bars.csv")
    steps = export_to_files(catalog, [target], How())
    assert isinstance(next(steps), Exporting)
    assert len(list((tmp_path / "out").iterdir())) == 1, "the bars lie under a temporary name"
    steps.close()
    assert list((tmp_path / "out").iterdir()) == []


def test_bars_that_are_stored_meanwhile_are_told(tmp_path: Path) -> None:
    catalog = store_whole(tmp_path / "catalog", ["2024-02-05"])
    before = select(catalog, MINUTES, None, dt.date(2024, 2, 6))
    catalog = store_whole(tmp_path / "catalog", ["2024-02-06"])
    last = list(export_to_files(catalog, [Target(before, tmp_path / "bars.csv")], How()))[-1]
    assert isinstance(last, Exported)
    assert (last.bars, last.changed_meanwhile) == (780, True)


@pytest.mark.parametrize(
    ("mantissas", "decimals", "texts"),
    [
        ([18540, 5, 0, 100], 2, ["185.40", "0.05", "0.00", "1.00"]),
        ([0, 1, 123_456_789], 8, ["0.00000000", "0.00000001", "1.23456789"]),
        ([-3763, -5, 7], 2, ["-37.63", "-0.05", "0.07"]),
        ([0, 100, -3], 0, ["0", "100", "-3"]),
        ([9_223_372_036_854_775_807], 9, ["9223372036.854775807"]),
    ],
)
def test_numbers_are_written_out_to_the_last_decimal(mantissas: list[int], decimals: int, texts: list[str]) -> None:
    """A barrel of oil closed at -37.63 USD on 2020-04-20."""
    assert decimal_text(np.array(mantissas, dtype=np.int64), decimals).to_pylist() == texts
    assert [Decimal(text) for text in texts] == [Decimal(value).scaleb(-decimals) for value in mantissas]


def test_a_type_for_several_scales_holds_the_largest_value_of_each() -> None:
    kind = exact_type([2, 5])
    assert kind == pa.decimal128(22, 5)
    assert pa.array([Decimal("92233720368547758.07")]).cast(kind).to_pylist() == [Decimal("92233720368547758.07000")]


def test_weeks_are_dated_by_their_last_session() -> None:
    """A week bar of 2024-02-05 to 02-09 is stamped by Friday's date."""
    columns = columns_of(BarSpec.parse("1-WEEK-LAST"), StampedAt.OPEN, "America/New_York", Numbers.DECIMAL, (exact_type([2]), exact_type([0])))
    one = np.array([100], dtype=np.int64)
    close = np.array([1_707_523_199_999_999_999], dtype=np.int64)  # 2024-02-09 23:59:59.999999999 UTC
    week = BarTable(one, one, one, one, one, close - 86_400_000_000_000 + 1, close, 2, 0)
    assert columns.text(week, partitions_of(replace(MINUTES, spec=BarSpec.parse("1-WEEK-LAST")))).to_pylist()[0]["date"] == "2024-02-09"


def test_what_has_not_ended_is_not_whole(tmp_path: Path) -> None:
    """A session that is stored in part is a gap once it is over; the one that still trades is none, and more bars will come."""
    today = partitions_of(CRYPTO).days[partitions_of(CRYPTO).closed_until(time.time_ns())]
    catalog, date = Catalog.open(tmp_path / "catalog"), date_of(today)
    one, opens = np.array([100], dtype=np.int64), np.array([today * DAY_NS], dtype=np.int64)
    bars = BarTable(one, one, one, one, one, opens, opens + CRYPTO.spec.length_ns, 2, 0)
    with catalog.writer(CRYPTO, Precision(2, 0), Provenance("csv", "a test")) as writer:
        position = partitions_of(CRYPTO).index_of(date)
        assert position is not None
        writer.store(SessionAnswer(date, bars, Coverage.PARTIAL, measure(bars, partitions_of(CRYPTO), position)))
    selection = select(catalog, CRYPTO)
    assert (selection.running, selection.gaps, selection.is_whole) == ((date,), (), False)
    with pytest.raises(IncompleteRange, match=f"{date} has not ended"):
        refuse_incomplete([selection])
