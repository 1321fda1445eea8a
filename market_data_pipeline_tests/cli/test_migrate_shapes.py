"""`mdp migrate postgres` with tables of other shapes than the usual one: other types, names, clocks and lengths of bars."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.legacy import AAPL, CLOSED, TWO_DAYS, run
from market_data_pipeline_tests.postgres.bar_tables import make_legacy

_VALUES = "open, high, low, close, volume FROM market_data"
_FLOATS = "open::float8 AS open, high::float8 AS high, low::float8 AS low, close::float4 AS close, volume::float8 AS volume FROM market_data"
_EPOCH = "extract(epoch FROM timestamp)"
_NEW_YORK = "timestamp AT TIME ZONE 'America/New_York' AS timestamp"


# What makes other.bars of the legacy table, and the options that it then needs.
SHAPES: dict[str, tuple[list[str], list[str]]] = {
    "a view without an id": ([f"CREATE VIEW other.bars AS SELECT symbol, timestamp, {_VALUES}"], []),
    "other names in another schema": (
        [f'CREATE TABLE other.bars ("Ticker", ts, o, h, l, c, v) AS SELECT symbol, timestamp, {_VALUES}'],
        ["--columns", "symbol=Ticker,time=ts,open=o,high=h,low=l,close=c,volume=v"],
    ),
    "a wall clock": ([f"CREATE TABLE other.bars AS SELECT symbol, {_NEW_YORK}, {_VALUES}"], ["--timezone", "America/New_York"]),
    "milliseconds and floats": ([f"CREATE TABLE other.bars AS SELECT id, symbol, ({_EPOCH} * 1000)::bigint AS timestamp, {_FLOATS}"], []),
    "nanoseconds": ([f"CREATE TABLE other.bars AS SELECT id, symbol, ({_EPOCH} * 1000000000)::numeric(20) AS timestamp, {_VALUES}"], []),
    "closes": ([f"CREATE TABLE other.bars AS SELECT id, symbol, timestamp + interval '1 minute' AS timestamp, {_VALUES}"], ["--stamp", "close"]),
    "one instrument": ([f"CREATE TABLE other.bars AS SELECT timestamp, {_VALUES}"], ["--instrument", "AAPL.NASDAQ"]),
    "partitions": (
        [
            "CREATE TABLE other.bars (LIKE market_data) PARTITION BY RANGE (timestamp)",
            "CREATE TABLE other.one PARTITION OF other.bars DEFAULT",
            "INSERT INTO other.bars SELECT * FROM market_data",
        ],
        [],
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_any_table_of_bars_gives_the_same_bars(migrate: Mdp, postgres_url: str, root: Path, shape: str) -> None:
    make_legacy(postgres_url, TWO_DAYS, CLOSED)
    statements, options = SHAPES[shape]
    run(postgres_url, "CREATE SCHEMA other", *statements)
    ended = migrate("--table", "other.bars", *options)
    assert ended.code == 0, ended.err + ended.out
    # The legacy table itself then finds every session equal.
    answer = migrate("--json").json
    assert (answer["bars_written"], answer["symbols"][0]["sessions"]["equal_before"], answer["reconciled"]) == (0, 2, True)
    assert Catalog.open(root).read_session(AAPL, dt.date(2024, 1, 3)).ts_event[0] == 1_704_292_200 * 10**9  # 14:30 UTC


def test_a_wall_clock_needs_its_zone_and_the_hour_shown_twice_is_bad(migrate: Mdp, postgres_url: str) -> None:
    """The clocks of New York went back on 2024-11-03 at 02:00."""
    run(
        postgres_url,
        "CREATE TABLE bars AS SELECT row_number() OVER () AS id, 'BTC/USDT' AS symbol, t AS timestamp, 1.0 AS open, "
        "1.0 AS high, 1.0 AS low, 1.0 AS close, "
        "1 AS volume FROM generate_series(timestamp '2024-11-02 20:00', '2024-11-03 19:59', interval '1 minute') t",
    )
    Path("map.yaml").write_text("symbols:\n  BTC/USDT: BTC/USDT.BINANCE\n")
    Path("crypto.yaml").write_text(
        'instruments:\n  - {id: "BTC/USDT.BINANCE", type: crypto, base: BTC, quote: USDT, price_precision: 1, size_precision: 0}\n'
    )
    options = ["--table", "bars", "--map", "map.yaml", "--instruments", "crypto.yaml"]
    ended = migrate(*options)
    assert ended.code == 2
    assert "--timezone" in ended.err
    ended = migrate(*options, "--timezone", "America/New_York")
    assert "60 of 1,440 rows are bad" in ended.out
    assert "shows this time twice (DST)" in ended.out


def test_day_bars_by_date_and_by_midnight(migrate: Mdp, postgres_url: str, root: Path) -> None:
    columns = "10.0 AS open, 12.0 AS high, 9.5 AS low, 11.25 AS close, 1000 AS volume"
    dates = "(VALUES ('2024-01-02'), ('2024-01-03'), ('2024-01-04'), ('2024-01-05')) v(d)"
    run(
        postgres_url,
        f"CREATE TABLE dates AS SELECT 'AAPL' AS symbol, d::date AS timestamp, {columns} FROM {dates}",
        f"CREATE TABLE midnights AS SELECT 'AAPL' AS symbol, d::timestamp AT TIME ZONE 'America/New_York' AS timestamp, {columns} FROM {dates}",
        "CREATE TABLE saturday AS SELECT * FROM dates UNION ALL SELECT 'AAPL', '2024-01-06', 10.0, 12.0, 9.5, 11.25, 1000",
    )
    assert migrate("--table", "dates", "--bar", "1-DAY-LAST").code == 0
    answer = migrate("--table", "midnights", "--bar", "1-DAY-LAST", "--timezone", "America/New_York", "--json").json
    assert (answer["symbols"][0]["sessions"]["equal_before"], answer["reconciled"]) == (4, True)
    assert "not on a whole" in migrate("--table", "midnights", "--bar", "1-DAY-LAST", "--catalog", root.with_name("other")).out
    assert "'2024-01-06': no session of the NYSE calendar" in migrate("--table", "saturday", "--bar", "1-DAY-LAST").out
    assert "holds dates" in migrate("--table", "dates").err
    stored = Catalog.open(root).read_session(Series.of("AAPL.NASDAQ", "1-DAY-LAST"), dt.date(2024, 1, 5))
    assert stored.close.tolist() == [1_125]


def test_bars_of_another_length_are_refused(migrate: Mdp, postgres_url: str) -> None:
    make_legacy(postgres_url, TWO_DAYS, CLOSED)
    run(postgres_url, "DELETE FROM market_data WHERE extract(minute FROM timestamp)::int % 5 <> 0")
    ended = migrate()
    assert ended.code == 2
    assert "pass --bar 5-MINUTE-LAST" in ended.out
