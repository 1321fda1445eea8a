"""`mdp catalog export`: files that pandas, DuckDB and Arrow read, exactly the bars that are stored, and what is missing is said."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import get_args

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.catalog_export import Formats, NumberTypes, Stamps
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.ingest.export_columns import Numbers, StampedAt
from market_data_pipeline.ingest.export_sinks import Format
from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import AAPL_YAML, MINUTES, minutes, store, store_whole

WEEK = ["2024-02-05", "2024-02-06", "2024-02-07", "2024-02-08", "2024-02-09"]
AAPL = ["catalog", "export", "AAPL.NASDAQ", "1-MINUTE-LAST"]
DAYS = """date,open,high,low,close,volume
2024-01-02,187.15,188.44,183.89,185.64,82488700
2024-01-03,184.22,185.88,183.43,184.25,58414500
2024-01-04,182.15,183.09,180.88,181.91,71983600
"""
# The night in which London's clocks go back, 2024-10-27 01:00 UTC; volumes from nothing to the last of eight decimals.
HOURS = """timestamp,open,high,low,close,volume
2024-10-26T23:00:00Z,67000.10,67010.00,66990.00,67005.50,12.00000001
2024-10-27T00:00:00Z,67005.50,67020.00,67000.00,67010.00,0.00000000
2024-10-27T01:00:00Z,67010.00,67015.00,66900.00,66950.25,0.00000001
2024-10-27T02:00:00Z,66950.25,66960.00,66940.00,66955.00,7.50000000
"""
BITCOIN = """instruments:
  - {id: "BTCUSDT.BINANCE", type: crypto, base: BTC, quote: USDT, price_precision: 2, size_precision: 8}
"""


@pytest.fixture
def days(mdp: Mdp, root: Path) -> Path:
    """A catalog of three days of a share."""
    Path("aapl.yaml").write_text(AAPL_YAML)
    Path("days.csv").write_text(DAYS)
    ended = mdp("import-csv", "days.csv", "--instrument", "AAPL.NASDAQ", "--bar", "1-DAY-LAST", "--instruments", "aapl.yaml", "--catalog", root)
    assert ended.code == 0, ended.err
    return root


@pytest.fixture
def hours(mdp: Mdp, root: Path) -> Path:
    """A catalog of four hours of a coin."""
    Path("instruments.yaml").write_text(BITCOIN)
    Path("hours.csv").write_text(HOURS)
    ended = mdp("import-csv", "hours.csv", "--instrument", "BTCUSDT.BINANCE", "--bar", "1-HOUR-LAST", "--stamp", "open", "--catalog", root)
    assert ended.code == 0, ended.err
    return root


def rows_of(query: str) -> list[tuple[object, ...]]:
    """Return what DuckDB answers."""
    relation = duckdb.sql(query)
    assert relation is not None
    rows: list[tuple[object, ...]] = relation.fetchall()
    return rows


def test_days_come_out_as_they_came_in(mdp: Mdp, days: Path) -> None:
    ended = mdp("catalog", "export", "AAPL.NASDAQ", "1-DAY-LAST", "--out", "out.csv", "--catalog", days)
    assert ended.code == 0
    assert Path("out.csv").read_text() == DAYS
    assert ended.out.startswith("AAPL.NASDAQ 1-DAY-LAST: 3 bars of 3 sessions (2024-01-02 to 2024-01-04) in out.csv, ")


def test_hours_come_out_as_they_came_in_and_no_number_has_an_exponent(mdp: Mdp, hours: Path) -> None:
    assert mdp("catalog", "export", "BTCUSDT.BINANCE", "1-HOUR-LAST", "--out", "out.csv", "--catalog", hours).code == 0
    assert Path("out.csv").read_text() == HOURS


def test_a_zone_shows_the_hour_that_comes_twice_with_its_two_offsets(mdp: Mdp, hours: Path) -> None:
    zone = ["--timezone", "Europe/London", "--columns", "time,close", "--out", "out.csv"]
    assert mdp("catalog", "export", "BTCUSDT.BINANCE", *zone, "--catalog", hours).code == 0
    assert Path("out.csv").read_text() == (
        "timestamp,close\n"
        "2024-10-27T00:00:00+01:00,67005.50\n2024-10-27T01:00:00+01:00,67010.00\n"
        "2024-10-27T01:00:00+00:00,66950.25\n2024-10-27T02:00:00+00:00,66955.00\n"
    )


@pytest.mark.parametrize("stamp", ["open", "close"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/London", "Asia/Kolkata"])
@pytest.mark.parametrize("file", ["out.csv", "out.csv.gz"])
def test_what_was_exported_imported_again_by_the_command_that_is_printed_is_the_same(
    mdp: Mdp, hours: Path, tmp_path: Path, stamp: str, zone: str, file: str
) -> None:
    ended = mdp("catalog", "export", "BTCUSDT.BINANCE", "--stamp", stamp, "--timezone", zone, "--out", file, "--catalog", hours)
    (line,) = [line for line in ended.out.splitlines() if "import it again: mdp " in line]
    command = shlex.split(line.partition("mdp ")[2])
    command[command.index("--catalog") + 1] = str(tmp_path / "another")
    again = mdp(*command)
    assert again.code == 0, again.err
    series = Series.of("BTCUSDT.BINANCE", "1-HOUR-LAST")
    # A file of four hours of two days is partial evidence, but the bars are the same.
    first, second = ([(day, bars, seen) for day, _, bars, seen in Catalog.open(one).contents(series)] for one in (hours, tmp_path / "another"))
    assert first == second
    assert len(first) == 2


def test_minutes_of_a_week_imported_again_are_the_same(mdp: Mdp, root: Path, tmp_path: Path) -> None:
    Path("instruments.yaml").write_text(AAPL_YAML)
    stored = store_whole(root, WEEK)
    mdp(*AAPL, "--timezone", "America/New_York", "--out", "week.csv", "--catalog", root)
    another = tmp_path / "another"
    ended = mdp("import-csv", "week.csv", "--instrument", "AAPL.NASDAQ", "--bar", "1-MINUTE-LAST", "--stamp", "open", "--catalog", another)
    assert ended.code == 0, ended.err
    assert Catalog.open(another).contents(MINUTES) == stored.contents(MINUTES)


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_parquet_and_arrow_hold_exact_decimals_times_of_the_zone_and_what_the_bars_are(mdp: Mdp, hours: Path, form: str) -> None:
    ended = mdp("catalog", "export", "BTCUSDT.BINANCE", "--out", f"out.{form}", "--timezone", "Asia/Tokyo", "--stamp", "close", "--catalog", hours)
    assert ended.code == 0
    table = pq.read_table("out.parquet") if form == "parquet" else pa.ipc.open_file("out.arrow").read_all()
    assert table.schema.field("timestamp").type == pa.timestamp("ns", "Asia/Tokyo")
    assert [str(one) for one in table["timestamp"].to_pylist()][:2] == ["2024-10-27 09:00:00+09:00", "2024-10-27 10:00:00+09:00"]
    assert table["close"].to_pylist() == [Decimal("67005.50"), Decimal("67010.00"), Decimal("66950.25"), Decimal("66955.00")]
    assert table["volume"].to_pylist()[2] == Decimal("0.00000001")
    told = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert (told["bar_type"], told["stamp"], told["time_zone"]) == ("BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL", "close", "Asia/Tokyo")
    assert (told["adjustment"], told["hours"], told["price_precision"], told["size_precision"]) == ("raw", "all", "2", "8")
    # 2024-10-26 has one of its 24 hours, 2024-10-27 three.
    assert json.loads(told["gaps"]) == [["2024-10-26", "2024-10-27"]]


def test_floats_are_those_nearest_to_the_decimals(mdp: Mdp, hours: Path) -> None:
    assert mdp("catalog", "export", "BTCUSDT.BINANCE", "--out", "out.parquet", "--numbers", "float", "--catalog", hours).code == 0
    frame = pd.read_parquet("out.parquet")
    assert frame["open"].tolist() == [67000.10, 67005.50, 67010.00, 66950.25]
    assert frame["volume"].tolist() == [12.00000001, 0.0, 0.00000001, 7.5]
    assert str(frame["timestamp"].dt.tz) == "UTC"


def test_both_ends_of_a_bar(mdp: Mdp, days: Path) -> None:
    assert mdp("catalog", "export", "AAPL.NASDAQ", "--stamp", "both", "--columns", "time,close", "--out", "out.csv", "--catalog", days).code == 0
    assert Path("out.csv").read_text().splitlines()[:2] == ["ts_event,ts_init,close", "2024-01-02T00:00:00Z,2024-01-02T23:59:59.999999999Z,185.64"]


def test_a_session_can_be_a_column(mdp: Mdp, root: Path) -> None:
    store_whole(root, WEEK[:2])
    assert mdp(*AAPL, "--columns", "session,time,close", "--out", "out.parquet", "--catalog", root).code == 0
    assert rows_of("SELECT session::VARCHAR, count(*) FROM 'out.parquet' GROUP BY session ORDER BY 1") == [
        ("2024-02-05", 390),
        ("2024-02-06", 390),
    ]


def test_duckdb_and_pandas_read_the_text(mdp: Mdp, root: Path) -> None:
    """The first bar opens at 09:30 in New York, 14:30 UTC in winter, at 185.00 (cli/stored.py)."""
    store_whole(root, WEEK[:1])
    assert mdp(*AAPL, "--out", "out.csv", "--catalog", root).code == 0
    frame = pd.read_csv("out.csv", parse_dates=["timestamp"], index_col="timestamp")
    assert (str(frame.index[0]), frame["open"].iloc[0], len(frame)) == ("2024-02-05 14:30:00+00:00", 185.0, 390)
    (row,) = rows_of("SELECT count(*), epoch(min(timestamp)), max(high) FROM 'out.csv'")
    assert row == (390, 1_707_143_400.0, 188.91)


@pytest.mark.skipif(
    importlib.util.find_spec("polars") is None, reason="polars is not in this environment; docs/export.md says how it reads these files"
)
def test_polars_reads_all_three(mdp: Mdp, hours: Path) -> None:
    import polars as pl  # type: ignore[import-not-found,unused-ignore]

    for form, read in (("csv", lambda f: pl.read_csv(f, try_parse_dates=True)), ("parquet", pl.read_parquet), ("arrow", pl.read_ipc)):
        assert mdp("catalog", "export", "BTCUSDT.BINANCE", "--out", f"out.{form}", "--catalog", hours).code == 0
        frame = read(f"out.{form}")
        assert [float(one) for one in frame["close"]] == [67005.50, 67010.00, 66950.25, 66955.00]
        assert str(frame["timestamp"][0]) == "2024-10-26 23:00:00+00:00"


def test_what_is_missing_is_said_and_is_no_failure_by_itself(mdp: Mdp, root: Path) -> None:
    store(root, [(WEEK[0], minutes(WEEK[0]), Coverage.COMPLETE), (WEEK[2], minutes(WEEK[2], count=300), Coverage.PARTIAL)])
    ended = mdp(*AAPL, "--end", WEEK[3], "--out", "out.csv", "--catalog", root)
    assert ended.code == 0
    assert "690 bars of 2 sessions" in ended.out
    assert "1 gap, 3 sessions missing or partial: 2024-02-06 to 2024-02-08 (3 sessions)" in ended.out
    assert f"what fills it: mdp check AAPL.NASDAQ --bar 1-MINUTE-LAST --start 2024-02-06 --end 2024-02-08 --catalog {root}" in ended.out


def test_strict_refuses_what_is_not_whole_and_writes_nothing(mdp: Mdp, root: Path) -> None:
    store_whole(root, [WEEK[0], WEEK[2]])
    ended = mdp(*AAPL, "--strict", "--out", "out.csv", "--catalog", root)
    assert ended.code == 1
    assert "AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL: 2024-02-06 (1 session). Nothing was written." in ended.err
    assert not Path("out.csv").exists()
    assert mdp(*AAPL, "--strict", "--end", WEEK[0], "--out", "out.csv", "--catalog", root).code == 0


def test_a_file_that_is_there_is_not_replaced_unless_that_is_wanted(mdp: Mdp, days: Path) -> None:
    Path("out.csv").write_text("mine")
    command = ["catalog", "export", "AAPL.NASDAQ", "--out", "out.csv", "--catalog", days]
    ended = mdp(*command)
    assert (ended.code, Path("out.csv").read_text()) == (2, "mine")
    assert "out.csv is there already. Nothing was written. Give another --out, or --overwrite." in ended.err
    assert mdp(*command, "--overwrite").code == 0
    assert Path("out.csv").read_text() == DAYS


@pytest.mark.parametrize("form", list(Format))
def test_a_damaged_file_of_the_catalog_leaves_no_part_of_an_export(mdp: Mdp, root: Path, form: Format) -> None:
    catalog = store_whole(root, WEEK)
    torn = sorted(catalog.layout.series_folder(MINUTES).glob("*.parquet"))[3]
    content = bytearray(torn.read_bytes())
    content[len(content) // 2] ^= 0xFF
    torn.write_bytes(bytes(content))
    Path("folder").mkdir()
    Path(f"folder/out.{form}").write_text("mine")
    ended = mdp(*AAPL, "--out", f"folder/out.{form}", "--overwrite", "--catalog", root)
    assert ended.code == 1
    assert "mdp catalog verify" in ended.err
    assert [(one.name, one.read_text()) for one in Path("folder").iterdir()] == [(f"out.{form}", "mine")]


def test_a_folder_that_cannot_be_made_is_one_message(mdp: Mdp, days: Path) -> None:
    Path("file").write_text("")
    ended = mdp("catalog", "export", "AAPL.NASDAQ", "--out", "file/out.csv", "--catalog", days)
    assert ended.code == 1
    assert "file/out.csv cannot be written: " in ended.err


def _several(mdp: Mdp, root: Path) -> None:
    """Store a share with two decimals and a currency pair with five."""
    store_whole(root, WEEK[:2])
    Path("eurusd.csv").write_text(
        "timestamp,open,high,low,close,volume\n2024-02-05T10:00:00Z,1.07501,1.07612,1.07499,1.07533,0\n2024-02-05T10:15:00Z,1.07533,1.07600,1.07500,1.07511,0\n"
    )
    ended = mdp("import-csv", "eurusd.csv", "--instrument", "EUR/USD.IDEALPRO", "--bar", "15-MINUTE-MID", "--stamp", "open", "--catalog", root)
    assert ended.code == 0, ended.err


def test_all_series_go_into_a_folder_that_is_one_exact_data_set(mdp: Mdp, root: Path) -> None:
    _several(mdp, root)
    ended = mdp("catalog", "export", "--all", "--format", "parquet", "--out", "exported", "--catalog", root)
    assert ended.code == 0, ended.err
    bars = "read_parquet('exported/**/*.parquet', hive_partitioning = true)"
    assert rows_of(f"SELECT instrument_id, bar_spec, count(*), max(high) FROM {bars} GROUP BY ALL ORDER BY ALL") == [
        ("AAPL.NASDAQ", "1-MINUTE-LAST", 780, Decimal("188.91000")),
        ("EUR/USD.IDEALPRO", "15-MINUTE-MID", 2, Decimal("1.07612")),
    ]
    table = ds.dataset("exported", partitioning="hive").to_table(filter=ds.field("instrument_id") == "EUR/USD.IDEALPRO")
    assert table["close"].to_pylist() == [Decimal("1.07533"), Decimal("1.07511")]
    again = mdp("catalog", "export", "--all", "--format", "parquet", "--out", "exported", "--catalog", root)
    assert again.code == 2
    assert "are there already" in again.err


def test_json_tells_each_file_and_whether_all_is_whole(mdp: Mdp, root: Path) -> None:
    _several(mdp, root)
    answer = mdp("catalog", "export", "--all", "--out", "exported/", "--json", "--catalog", root).json
    assert (answer["bars"], answer["whole"], answer["folder"], answer["not_stored"]) == (782, False, "exported/".rstrip("/"), [])
    share, pair = answer["files"]
    assert Path(share["file"]) == Path("exported/bar_spec=1-MINUTE-LAST/instrument_id=AAPL.NASDAQ/bars.csv").absolute()
    assert (share["bars"], share["sessions"], share["gaps"], share["bytes"]) == (780, 2, [], Path(share["file"]).stat().st_size)
    assert pair["gaps"] == [{"first": "2024-02-05", "last": "2024-02-05", "sessions": 1}]
    assert Path(pair["file"]).parent.name == "instrument_id=EUR%2FUSD.IDEALPRO"


def test_a_universe_is_exported_and_what_it_lacks_is_said(mdp: Mdp, root: Path) -> None:
    store_whole(root, WEEK[:1])
    Path("watchlist.yaml").write_text(
        "universes:\n  stocks:\n    calendar: NYSE\n    start: 2024-02-05\n    bars: [1-MINUTE-LAST]\n"
        '    instruments: ["AAPL.NASDAQ", "MSFT.NASDAQ"]\n    source: {csv: "csv/{instrument}.csv"}\n'
    )
    ended = mdp("catalog", "export", "--universe", "stocks", "--out", "exported", "--config", "watchlist.yaml", "--catalog", root)
    assert ended.code == 0, ended.err
    assert "not stored, and so not there: MSFT.NASDAQ-1-MINUTE-LAST-EXTERNAL" in ended.out
    strict = mdp("catalog", "export", "--universe", "stocks", "--strict", "--out", "again", "--config", "watchlist.yaml", "--catalog", root)
    assert strict.code == 1
    assert not Path("again").exists()
    wrong = mdp("catalog", "export", "--universe", "bonds", "--out", "exported", "--config", "watchlist.yaml", "--catalog", root)
    assert (wrong.code, "has no 'bonds'. It has stocks" in wrong.err) == (2, True)


def test_a_pipe_takes_each_format(launched: Mdp, root: Path) -> None:
    store_whole(root, WEEK[:1])
    read: dict[str, Callable[[bytes], int]] = {
        "csv": lambda content: len(pd.read_csv(io.BytesIO(content))),
        "parquet": lambda content: pq.read_table(io.BytesIO(content)).num_rows,
        "arrow": lambda content: pa.ipc.open_stream(content).read_all().num_rows,
    }
    for form, rows in read.items():
        command = [sys.executable, "-m", "market_data_pipeline.cli", *AAPL, "--format", form, "--out", "-", "--catalog", str(root)]
        done = subprocess.run(command, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert rows(done.stdout) == 390
        assert b"390 bars of 1 session (2024-02-05) to stdout" in done.stderr


def test_a_reader_that_has_enough_is_no_fault(root: Path) -> None:
    store_whole(root, WEEK)
    command = shlex.join([sys.executable, "-m", "market_data_pipeline.cli", *AAPL, "--out", "-", "--catalog", str(root)])
    done = subprocess.run(["sh", "-c", f"{command} | head -n 1"], capture_output=True, text=True, timeout=60)
    assert done.stdout == "timestamp,open,high,low,close,volume\n"
    assert "error" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_description_stands_beside_the_file_where_it_is_wanted(mdp: Mdp, root: Path) -> None:
    store_whole(root, [WEEK[0], WEEK[2]])
    assert mdp(*AAPL, "--describe", "--out", "out.csv", "--catalog", root).code == 0
    told = json.loads(Path("out.csv.json").read_text())
    assert (told["stamp"], told["time_zone"], told["bars"], told["gaps"]) == ("open", "UTC", 780, [["2024-02-06", "2024-02-06"]])
    assert mdp(*AAPL, "--out", "plain.csv", "--catalog", root).code == 0
    assert not Path("plain.csv.json").exists()


def test_the_same_bars_make_the_same_bytes(mdp: Mdp, days: Path) -> None:
    for name in ("one.csv.gz", "two.csv.gz", "one.parquet", "two.parquet"):
        assert mdp("catalog", "export", "AAPL.NASDAQ", "--out", name, "--catalog", days).code == 0
    assert gzip.decompress(Path("one.csv.gz").read_bytes()).decode() == DAYS
    assert Path("one.parquet").read_bytes() == Path("two.parquet").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Say what to export"),
        (["AAPL.NASDAQ", "--all"], "instrument ids and --all say different things"),
        (["AAPL.NASDAQ", "1-DAY-LAST", "--bar", "1-MINUTE-LAST"], "Several bar specs were given (1-DAY-LAST, 1-MINUTE-LAST)"),
        (["AAPL.NASDAQ", "7-MINUTE-LAST"], "there are no bars of 7 MINUTE"),
        (["AAPL.NASDAQ", "--out", "out.csv", "--format", "parquet"], "--out out.csv ends as a file of csv does, and --format says parquet"),
        (["AAPL.NASDAQ", "--out", "out.parquet.gz"], "only CSV is compressed by gzip"),
        (["AAPL.NASDAQ", "--numbers", "float"], "--numbers float is for Parquet and Arrow"),
        (["AAPL.NASDAQ", "--timezone", "EST5EDT7"], "'EST5EDT7' is no IANA time zone"),
        (["AAPL.NASDAQ", "--columns", "time,vwap"], "have no column 'vwap'. There are: time, date, open, high, low, close, volume."),
        (["AAPL.NASDAQ", "--columns", "close,close"], "--columns names close twice"),
        (["AAPL.NASDAQ", "--out", "-", "--json"], "the bars go to stdout"),
        (["--all"], "1 series match (AAPL.NASDAQ-1-DAY-LAST-EXTERNAL), and no --out was given"),
        (["AAPL.NASDAQ", "--start", "2024-02-01", "--end", "2024-01-01"], "The range runs backwards"),
        (["--universe", "stocks", "--out", "x"], "there is no watchlist"),
    ],
)
def test_what_cannot_be_meant_is_said_and_writes_nothing(mdp: Mdp, days: Path, arguments: list[str], said: str) -> None:
    before = sorted(Path().iterdir())
    ended = mdp("catalog", "export", *arguments, "--catalog", days)
    assert (ended.code, said in ended.err) == (2, True), ended.err
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["MSFT.NASDAQ"], "Nothing of MSFT.NASDAQ is stored"),
        (["AAPL.NASDAQ", "1-MINUTE-LAST"], "No bars of 1-MINUTE-LAST are stored"),
        (["AAPL.NASDAQ", "--start", "2024-02-01"], "The range of AAPL.NASDAQ-1-DAY-LAST-EXTERNAL runs backwards"),
        (["AAPL.NASDAQ", "--start", "2024-02-01", "--end", "2024-02-02"], "Stored are 2024-01-02 to 2024-01-04"),
    ],
)
def test_what_is_not_stored_is_said_with_what_is(mdp: Mdp, days: Path, arguments: list[str], said: str) -> None:
    ended = mdp("catalog", "export", *arguments, "--catalog", days)
    assert ended.code in (1, 2)
    assert said in ended.err


def test_an_export_never_goes_into_the_catalog_itself(mdp: Mdp, days: Path) -> None:
    ended = mdp("catalog", "export", "AAPL.NASDAQ", "--out", days / "data" / "bar" / "out.parquet", "--catalog", days)
    assert ended.code == 2
    assert "lies inside the catalog" in ended.err


def test_options_are_those_of_the_use_case() -> None:
    assert (list(get_args(Formats)), list(get_args(Stamps)), list(get_args(NumberTypes))) == (list(Format), list(StampedAt), list(Numbers))
