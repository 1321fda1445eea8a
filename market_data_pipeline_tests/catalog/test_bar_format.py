"""The encoder against Nautilus' own, to the byte in schema and values, and back."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from market_data_pipeline.catalog.bar_format import (
    PRICE_LIMIT,
    SIZE_LIMIT,
    bars_in,
    decode,
    described_by,
    encode,
    to_parquet,
    write_atomically,
)
from market_data_pipeline.catalog.layout import file_name
from market_data_pipeline.domain.bar_table import VALUE_COLUMNS, BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import CorruptFile, PrecisionMismatch
from market_data_pipeline.domain.source import Precision
from market_data_pipeline_tests.catalog.bar_making import AAPL, CENTS, EURUSD, MINUTE, MONDAY, decimals, nautilus_reads, regular

PATH = Path("some.parquet")
START = 1_704_465_000_000_000_000


def column(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def one_price(*prices: int, price: int = 2, size: int = 0, volume: int = 1) -> BarTable:
    """Return a bar for each price, all four of its prices being that."""
    values = column(*prices)
    opens = START + MINUTE * np.arange(len(prices), dtype=np.int64)
    return BarTable(values, values, values, values, np.full(len(prices), volume, dtype=np.int64), opens, opens + MINUTE, price, size)


def nautilus_bars(bars: BarTable, series: Series) -> list[Bar]:
    """Build Nautilus bars from decimal text, the way it documents as exact."""
    kind = BarType.from_str(series.bar_type)
    prices = [decimals(bars.column(name), bars.price_precision) for name in ("open", "high", "low", "close")]
    volumes = decimals(bars.volume, bars.size_precision)
    return [
        Bar(kind, *map(Price.from_str, row[:4]), Quantity.from_str(row[4]), int(event), int(init))
        for *row, event, init in zip(*prices, volumes, bars.ts_event, bars.ts_init, strict=True)
    ]


@pytest.mark.parametrize(
    ("series", "precision", "prices"),
    [
        (AAPL, CENTS, column(18_542, 18_551, 1)),
        (EURUSD, Precision(5, 2), column(108_765, 108_764, 109_999)),
        (AAPL, Precision(0, 0), column(7, 3, PRICE_LIMIT)),
        (AAPL, Precision(2, 0), column(-3_763, -1, 0)),  # crude oil on 2020-04-20 settled at -37.63
        (AAPL, Precision(8, 8), column(6_543_210_987_654, 1, -6_543_210_987_654)),
    ],
)
def test_encoded_bars_are_what_write_data_stores(
    tmp_path: Path, series: Series, precision: Precision, prices: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> None:
    bars = one_price(*prices.tolist(), price=precision.price, size=precision.size, volume=12_345)
    ParquetDataCatalog(tmp_path).write_data(nautilus_bars(bars, series))
    (file,) = tmp_path.rglob("*.parquet")
    assert file.parent.name == series.folder
    theirs = pq.read_table(file)
    ours = pq.read_table(pa.BufferReader(to_parquet(encode(bars, series))))
    assert ours.schema.equals(theirs.schema, check_metadata=True)
    assert ours.equals(theirs)
    assert decode(theirs, precision).fingerprint() == bars.fingerprint()
    assert bars_in(file.read_bytes(), file, series).fingerprint() == bars.fingerprint()


@given(
    st.integers(0, 16),
    st.integers(0, 16),
    st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=0, max_size=20),
    st.integers(0, 2**62),
)
def test_every_value_within_the_limits_comes_back(price: int, size: int, prices: list[int], volume: int) -> None:
    top, most = PRICE_LIMIT * 10**price, SIZE_LIMIT * 10**size
    bars = one_price(*(max(-top, min(top, value)) for value in prices), price=price, size=size, volume=min(volume, most))
    table = pq.read_table(pa.BufferReader(to_parquet(encode(bars, AAPL))))
    back = decode(table, Precision(price, size))
    assert back.fingerprint() == bars.fingerprint()
    for name in VALUE_COLUMNS:
        places = size if name == "volume" else price
        raw = [int.from_bytes(value, "little", signed=True) for value in table.column(name).to_pylist()]
        assert raw == [value * 10 ** (16 - places) for value in bars.column(name).tolist()]


def test_duckdb_reads_the_same_values() -> None:
    """A reader without a line of ours or of Nautilus: 16 bytes little-endian, 16 decimals."""
    bars = regular(AAPL, MONDAY)
    raw = duckdb.from_arrow(encode(bars, AAPL)).project("close, ts_init").fetchall()
    closes = [Decimal(int.from_bytes(value, "little", signed=True)) / 10**16 for value, _ in raw]
    assert closes == [Decimal(text) for text in decimals(bars.close, 2)]
    assert [ts for _, ts in raw] == bars.ts_init.tolist()


@pytest.mark.parametrize(
    ("bars", "reason"),
    [
        (one_price(PRICE_LIMIT + 1, price=0), "a price above 17,014,118,346,046"),
        (one_price(-(PRICE_LIMIT * 10**5) - 1, price=5), "a price below -17,014,118,346,046"),
        (one_price(1, volume=SIZE_LIMIT + 1), "above 34,028,236,692,093"),
        (one_price(1, volume=-1), "a volume that is negative"),
        (one_price(1, price=17), "17 price and 0 size decimals"),
        (one_price(1, size=-1), "2 price and -1 size decimals"),
    ],
)
def test_what_nautilus_aborts_on_is_refused(bars: BarTable, reason: str) -> None:
    """Its Rust reader ends the process on each of these (nautilus_trader 1.230, measured)."""
    with pytest.raises(PrecisionMismatch, match=reason):
        encode(bars, AAPL)


def test_the_limits_themselves_are_read_by_nautilus(tmp_path: Path) -> None:
    bars = one_price(PRICE_LIMIT * 100, -PRICE_LIMIT * 100, volume=SIZE_LIMIT)
    folder = tmp_path / "data" / "bar" / AAPL.folder
    folder.mkdir(parents=True)
    write_atomically(folder, file_name(int(bars.ts_init[0]), int(bars.ts_init[-1])), to_parquet(encode(bars, AAPL)))
    assert nautilus_reads(tmp_path) == (2, 2, True)


def raw_table(prices: list[int], precision: Precision = CENTS, width: int = 16, **changes: str) -> pa.Table:
    """Return a bar table from raw fixed-point values, as a foreign program could have written it."""
    kind = pa.binary(width)
    values = pa.array([value.to_bytes(width, "little", signed=True) for value in prices], kind)
    stamps = pa.array([START + MINUTE * i for i in range(len(prices))], pa.uint64())
    closes = pa.array([START + MINUTE * (i + 1) for i in range(len(prices))], pa.uint64())
    metadata = {
        "bar_type": AAPL.bar_type,
        "instrument_id": AAPL.instrument_id,
        "price_precision": str(precision.price),
        "size_precision": str(precision.size),
    }
    fields = [pa.field(name, kind, nullable=False) for name in VALUE_COLUMNS] + [
        pa.field(name, pa.uint64(), nullable=False) for name in ("ts_event", "ts_init")
    ]
    volume = pa.array([(0).to_bytes(width, "little")] * len(prices), kind)
    return pa.table([values, values, values, values, volume, stamps, closes], schema=pa.schema(fields, metadata=metadata | changes))


def content_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def test_legacy_values_of_eight_bytes_are_decoded() -> None:
    """Windows builds store 9 decimals in 8 bytes: 1.08765 is 1,087,650,000."""
    table = raw_table([1_087_650_000, -37_630_000_000], Precision(5, 0), width=8)
    assert decode(table, Precision(5, 0)).close.tolist() == [108_765, -3_763_000]
    with pytest.raises(PrecisionMismatch, match="Rescaling"):
        decode(table, Precision(4, 0))
    with pytest.raises(PrecisionMismatch, match="hold 9 decimals, not 10"):
        decode(table, Precision(10, 0))


@pytest.mark.parametrize("raw", [185_425_000_000_000_001, 10**34 + 1, -5])
def test_decoding_refuses_to_round(raw: int) -> None:
    with pytest.raises(PrecisionMismatch):
        decode(raw_table([raw]), CENTS)


def test_real_legacy_files_are_decoded(market_data: Path) -> None:
    """Days of EUR/USD; the same session in the trader's CSV: 2024-01-02 closed at 1.09405 (ibkr-csv)."""
    folder = market_data / "legacy-catalog-fx" / "data" / "bar" / "EURUSD.IDEALPRO-1-DAY-MID-EXTERNAL"
    file = min(folder.glob("*.parquet"))
    named = described_by(file)
    assert named is not None
    assert named[0] == Series.parse("EUR/USD.IDEALPRO-1-DAY-MID-EXTERNAL")
    bars = decode(pq.read_table(file), named[1])
    csv = market_data / "ibkr-csv" / "EUR-USD_EUR_USD_IDEALPRO_1_DAY_MID_EXTERNAL.csv"
    line = next(line for line in csv.read_text().splitlines() if line.startswith("2024-01-02"))
    expected = Decimal(line.split(",")[4])
    day = np.flatnonzero(bars.ts_init // 86_400_000_000_000 == 19_724)  # 2024-01-02
    assert Decimal(int(bars.close[day[0]])).scaleb(-bars.price_precision) == expected


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (raw_table([PRICE_LIMIT * 10**16 + 10**14]), "a price above"),
        (raw_table([2**127 - 1]), "does not fit 2 price"),
        (raw_table([1]), "does not fit 2 price"),
        (raw_table([10**16], Precision(17, 0)), "17 price and 0 size decimals; Nautilus has 0 to 16"),
        (raw_table([10**16], price_precision="two"), "names no price and size precision"),
        (raw_table([10**16], bar_type="MSFT.NASDAQ-1-MINUTE-LAST-EXTERNAL"), "bar_type MSFT.NASDAQ-1-MINUTE-LAST-EXTERNAL, expected AAPL"),
        (raw_table([10**16], note="x"), r"unexpected metadata \['note'\]"),
        (raw_table([10**9], width=8), "8-byte prices"),
        (raw_table([10**16]).drop_columns(["volume"]), "wrong columns"),
        (raw_table([10**16]).set_column(5, "ts_event", pa.array([START], pa.int64())), "column ts_event is"),
        (pa.concat_tables([raw_table([10**16])] * 2), "out of order, or one bar stands in it twice"),
    ],
)
def test_a_file_that_would_stop_or_mislead_nautilus_is_refused(table: pa.Table, reason: str) -> None:
    with pytest.raises(CorruptFile, match=reason):
        bars_in(content_of(table), PATH, AAPL)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all" * 100, content_of(raw_table([10**16]))[:-20]])
def test_a_torn_file_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptFile, match="not a readable Parquet file"):
        bars_in(content, PATH, AAPL)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path, "a.parquet", b"old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path, "a.parquet", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.parquet", b"old")]
