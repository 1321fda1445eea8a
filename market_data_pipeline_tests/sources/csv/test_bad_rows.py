from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from market_data_pipeline.domain.errors import BadRows, StorageFailed
from market_data_pipeline_tests.sources.csv.conftest import Read
from market_data_pipeline_tests.sources.csv.rows import HEADER, bar, closes, table, utc

GOOD = "2024-01-02T00:00Z,10.00,10.50,9.50,10.25,100\n"


@pytest.mark.parametrize(
    ("line", "column", "value", "rule"),
    [
        ("2024-01-02T00:05Z,10,10,10,10", "row", "2024-01-02T00:05Z,10,10,10,10", "wrong column count (5, not 6)"),
        ("2024-01-02T00:05Z,10,10,10,10,1,1", "row", "2024-01-02T00:05Z,10,10,10,10,1,1", "wrong column count (7, not 6)"),
        (",10,10,10,10,1", "timestamp", "", "missing time stamp"),
        ("noon,10,10,10,10,1", "timestamp", "noon", "not a time of the form iso"),
        ("1969-07-20T00:05Z,10,10,10,10,1", "timestamp", "1969-07-20T00:05Z", "time before 1970 or after 2199"),
        ("2024-01-02,10,10,10,10,1", "timestamp", "2024-01-02", "no time of day"),
        ("2024-01-02T00:05,10,10,10,10,1", "timestamp", "2024-01-02T00:05", "no UTC offset, and no time zone is declared"),
        ("2024-01-02T00:05:01Z,10,10,10,10,1", "timestamp", "2024-01-02T00:05:01Z", "not on a whole minute"),
        ("2024-01-02T00:05Z,,10,10,10,1", "open", "", "empty field"),
        ("2024-01-02T00:05Z,10,10,ten,10,1", "low", "ten", "not a number"),
        ("2024-01-02T00:05Z,10,10,10,NaN,1", "close", "NaN", "not a number"),
        ("2024-01-02T00:05Z,10,10.001,10,10,1", "high", "10.001", "more decimals than the instrument has (2 in prices, 0 in sizes)"),
        ("2024-01-02T00:05Z,10,10,10,10,1.5", "volume", "1.5", "more decimals than the instrument has (2 in prices, 0 in sizes)"),
        ("2024-01-02T00:05Z,10,1e18,10,10,1", "high", "1e18", "number too large"),
        ("2024-01-02T00:05Z,0,10,0,10,1", "open", "0", "negative or zero price"),
        ("2024-01-02T00:05Z,10,10,-37.63,10,1", "low", "-37.63", "negative or zero price"),
        ("2024-01-02T00:05Z,10,9,11,10,1", "low", "11", "low > high"),
        ("2024-01-02T00:05Z,12,11,9,10,1", "open", "12", "open or close outside low and high"),
        ("2024-01-02T00:05Z,10,11,9,8,1", "close", "8", "open or close outside low and high"),
        ("2024-01-02T00:05Z,10,10,10,10,-1", "volume", "-1", "negative volume"),
        ("2024-01-02T00:00Z,10.00,10.50,9.50,10.25,100", "timestamp", "2024-01-02T00:00Z", "repeated time stamp (see line 2)"),
        ('2024-01-02T00:05Z,"10', "row", '2024-01-02T00:05Z,"10', "a quote that is not closed in its line"),
        ("2190-01-02T00:05Z,10,10,10,10,1", "timestamp", "2190-01-02T00:05Z", "outside the CRYPTO calendar"),
    ],
)
def test_each_rule_names_line_column_and_value(read: Read, line: str, column: str, value: str, rule: str) -> None:
    bars = read(HEADER + GOOD + "\n" + line + "\n" + bar("2024-01-02T00:07Z"), skip_bad_rows=True)
    found = bars.bad_rows.first
    assert [(row.file, row.line, row.column, row.value, row.text) for row in found] == [("a.csv", 4, column, value, line)]
    assert found[0].rule.startswith(rule)
    assert closes(bars) == utc("2024-01-02 00:01", "2024-01-02 00:08")
    assert (bars.rows, bars.rows_bad) == (2, 1)


def test_a_bad_row_refuses_the_file_and_says_what_to_do(read: Read) -> None:
    with pytest.raises(BadRows) as refused:
        read(HEADER + GOOD + "2024-01-02T00:01Z,10,10,10,x,1\n" + "2024-01-02T00:02Z,10,9,11,10,1\n" + "2024-01-02T00:03Z,10,9,11,10,1\n")
    assert str(refused.value).split("\n") == [
        "a.csv: 3 of 4 rows are bad. Nothing was written.",
        "  2  low > high",
        "  1  not a number",
        "They are:",
        "  a.csv, line 3, close 'x': not a number",
        "  a.csv, line 4, low '11': low > high",
        "  a.csv, line 5, low '11': low > high",
        "Mend the file, or take the good rows and have the bad ones listed in a rejects file: --skip-bad-rows.",
    ]


def test_too_many_decimals_name_the_two_ways_out(read: Read) -> None:
    with pytest.raises(BadRows) as refused:
        read(HEADER + bar("2024-01-02T00:00Z", "38.2565", "0.5") + bar("2024-01-02T00:01Z", "38.25"), bars="AAPL.NASDAQ-1-MINUTE-LAST")
    message = str(refused.value)
    assert (
        "The file needs 4 decimals in prices and 1 decimal in sizes. Either define AAPL.NASDAQ so in the instruments YAML, or import into" in message
    )
    with pytest.raises(BadRows, match="The file needs 1 decimal in sizes"):
        read(HEADER + bar("2024-01-02T00:00Z", "38.25", "0.5"), bars="AAPL.NASDAQ-1-MINUTE-LAST")


def test_twenty_rows_are_shown_and_all_are_counted(read: Read) -> None:
    text = HEADER + "".join(bar(f"2024-01-02T{i // 60:02}:{i % 60:02}Z", "-1") for i in range(1_000))
    with pytest.raises(BadRows) as refused:
        read(text)
    lines = str(refused.value).split("\n")
    assert lines[:3] == ["a.csv: 1,000 of 1,000 rows are bad. Nothing was written.", "  1,000  negative or zero price", "The first of them:"]
    assert lines[3:23] == [f"  a.csv, line {n}, open '-1': negative or zero price" for n in range(2, 22)]


def test_lines_are_those_of_an_editor(read: Read) -> None:
    """Blank lines, rows of wrong length and quotes left open stand before the row in question: line 11."""
    above = ["", GOOD.strip(), "", "1,2,3", "   ", '2024-01-02T00:01Z,"10,10,10,10,1', "", bar("2024-01-02T00:02Z").strip(), ",,,,,"]
    text = HEADER + "\n".join([*above, "2024-01-02T00:03Z,x,10,10,10,1", ""])
    bars = read(gzip.compress(text.replace("\n", "\r\n").encode()), skip_bad_rows=True)
    assert [(row.line, row.rule.split(" (")[0]) for row in bars.bad_rows.first] == [
        (5, "wrong column count"),
        (7, "a quote that is not closed in its line"),
        (10, "missing time stamp"),
        (11, "not a number"),
    ]
    assert bars.line_of(utc("2024-01-02 00:01")[0]) == (bars._paths[0], 3)
    assert bars.line_of(utc("2024-01-02 00:03")[0]) == (bars._paths[0], 9)
    assert bars.line_of(utc("2024-01-02 00:04")[0]) is None


def test_a_quoted_line_break_is_refused_and_shifts_no_number(read: Read) -> None:
    text = HEADER + GOOD + '2024-01-02T00:01Z,"10\n",10,10,10,1\n' + "2024-01-02T00:02Z,x,10,10,10,1\n"
    bars = read(text, skip_bad_rows=True)
    assert [(row.line, row.rule) for row in bars.bad_rows.first] == [
        (3, "a quote that is not closed in its line"),
        (4, "a quote that is not closed in its line"),
        (5, "not a number"),
    ]


def test_numbers_of_lines_go_on_from_block_to_block(read: Read) -> None:
    """12 MB are three blocks; every 100,000th row is bad."""
    count = 300_000
    text = HEADER + "".join(f"{1704067200 + 60 * i},10,10,10,{'x' if i % 100_000 == 99_999 else '10.0000000000'},1\n" for i in range(count))
    bars = read(text, skip_bad_rows=True)
    assert [row.line for row in bars.bad_rows.first] == [100_001, 200_001, 300_001]
    assert bars.rows == count - 3
    # Row i stands in line i + 2 and closes i + 1 minutes after 2024-01-01.
    assert bars.line_of((1704067200 + 60 * 250_001) * 10**9) == (bars._paths[0], 250_002)


def test_skipped_rows_go_into_a_rejects_file_in_order_of_lines(read: Read, tmp_path: Path) -> None:
    folder = tmp_path / "rejects" / "of today"
    text = HEADER + GOOD + GOOD + '2024-01-02T00:01Z,"1,000",10,10,10,1\n' + "1\n"
    bars = read(text, skip_bad_rows=True, rejects_dir=folder)
    assert bars.rejects_file == folder / "a.csv.rejects.csv"
    with bars.rejects_file.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["line", "column", "rule", "value", "text"],
            ["3", "timestamp", "repeated time stamp (see line 2)", "2024-01-02T00:00Z", GOOD.strip()],
            ["4", "open", "not a number", "1,000", '2024-01-02T00:01Z,"1,000",10,10,10,1'],
            ["5", "row", "wrong column count (1, not 6)", "1", "1"],
        ]
    assert [path.name for path in folder.iterdir()] == ["a.csv.rejects.csv"]
    assert closes(bars) == utc("2024-01-02 00:01")


def test_rejects_stand_beside_the_file_where_no_folder_is_named(read: Read, tmp_path: Path) -> None:
    assert read(HEADER + GOOD + "1\n", skip_bad_rows=True).rejects_file == tmp_path / "a.csv.rejects.csv"


def test_a_clean_file_leaves_no_rejects(read: Read, tmp_path: Path) -> None:
    bars = read(HEADER + GOOD, skip_bad_rows=True)
    assert (bars.rejects_file, bars.rows_bad, [path.name for path in tmp_path.iterdir()]) == (None, 0, ["a.csv"])


def test_rejects_that_cannot_be_written_stop_the_import(read: Read, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, and no folder")
    with pytest.raises(StorageFailed, match=r"a\.csv\.rejects\.csv cannot be written: .* Nothing was imported"):
        read(HEADER + GOOD + "1\n", skip_bad_rows=True, rejects_dir=tmp_path / "taken")


def test_a_file_of_bad_rows_only_has_no_sessions(read: Read) -> None:
    bars = read(HEADER + bar("2024-01-02T00:00Z", "-1"), skip_bad_rows=True)
    assert (bars.rows, bars.sessions, list(bars.answers())) == (0, [], [])


def test_a_volume_of_minus_one_is_ibkrs_none_where_prices_are_no_trades(read: Read) -> None:
    text = HEADER + bar("2024-01-02T00:00Z", volume="-1") + bar("2024-01-02T00:01Z", volume="-1.0")
    bars = read(text, bars="BTC/USDT.BINANCE-1-MINUTE-MID")
    assert table(bars).volume.tolist() == [0, 0]
    assert bars.warnings == ["2 volumes of -1 (IBKR's sign for none) are taken as 0."]
    with pytest.raises(BadRows, match="negative volume"):
        read(text)
