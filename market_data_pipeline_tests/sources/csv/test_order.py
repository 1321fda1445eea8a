from __future__ import annotations

import random

import pytest

from market_data_pipeline.domain.errors import BadRows, UsageError
from market_data_pipeline.sources.csv import CsvSource
from market_data_pipeline_tests.sources.csv.conftest import Read, written
from market_data_pipeline_tests.sources.csv.rows import HEADER, bar, closes, table, utc

MINUTES = [bar(f"2024-01-02T00:{i:02}Z", str(10 + i)) for i in range(20)]
PRICES = [1000 + 100 * i for i in range(20)]


def test_rows_that_run_backwards_are_turned_round(read: Read) -> None:
    bars = read(HEADER + "".join(MINUTES[::-1]))
    assert table(bars).is_ordered()
    assert table(bars).close.tolist() == PRICES
    assert bars.warnings == ["The rows run backwards; they were sorted by time."]
    assert bars.line_of(utc("2024-01-02 00:01")[0]) == (bars._paths[0], 21)


def test_rows_in_no_order_are_sorted(read: Read) -> None:
    shuffled = random.Random(1).sample(MINUTES, 20)
    bars = read(HEADER + "".join(shuffled))
    assert table(bars).close.tolist() == PRICES
    assert bars.warnings == ["The rows run in no order; they were sorted by time."]


def test_equal_copies_are_bad_but_the_first(read: Read) -> None:
    bars = read(HEADER + MINUTES[0] + MINUTES[1] + MINUTES[0] + MINUTES[0], skip_bad_rows=True)
    assert table(bars).close.tolist() == PRICES[:2]
    assert [(row.line, row.rule) for row in bars.bad_rows.first] == [
        (4, "repeated time stamp (see line 2)"),
        (5, "repeated time stamp (see line 2)"),
    ]


def test_copies_that_are_equal_as_numbers_are_equal(read: Read) -> None:
    bars = read(HEADER + bar("2024-01-02T00:00Z", "10.5") + bar("2024-01-02 01:00:00+01:00", "10.50"), skip_bad_rows=True)
    assert [row.rule for row in bars.bad_rows.first] == ["repeated time stamp (see line 2)"]


def test_copies_that_differ_are_all_bad(read: Read) -> None:
    text = HEADER + MINUTES[0] + bar("2024-01-02T00:00Z", "11") + MINUTES[0] + MINUTES[1]
    bars = read(text, skip_bad_rows=True)
    assert closes(bars) == utc("2024-01-02 00:02")
    assert [(row.line, row.rule) for row in bars.bad_rows.first] == [
        (2, "repeated time stamp with other values (see line 3)"),
        (3, "repeated time stamp with other values (see line 2)"),
        (4, "repeated time stamp with other values (see line 2)"),
    ]


def test_a_file_each_month_is_one_series(read: Read) -> None:
    """The second file is named first and holds the later rows; each has its own columns, delimiter and form of time."""
    later = "Date;Time;Close;Open;High;Low;Vol\n" + "".join(f"20240102;00:{i:02}:00;{10 + i};{10 + i};{10 + i};{10 + i};1\n" for i in range(10, 20))
    bars = read(later, HEADER + "".join(MINUTES[:10]), time_zone="UTC")
    assert table(bars).close.tolist() == PRICES
    assert bars.line_of(utc("2024-01-02 00:01")[0]) == (bars._paths[1], 2)


def test_rows_that_two_files_share_are_taken_once(read: Read) -> None:
    bars = read(HEADER + "".join(MINUTES[:12]), HEADER + "".join(MINUTES[8:]))
    assert table(bars).close.tolist() == PRICES
    assert bars.warnings == ["4 rows that several files hold with the same values were taken once."]


def test_files_that_contradict_each_other_are_both_named(read: Read) -> None:
    other = HEADER + bar("2024-01-02T00:01Z", "99") + MINUTES[2]
    with pytest.raises(BadRows) as refused:
        read(HEADER + MINUTES[0] + MINUTES[1], other)
    message = str(refused.value)
    assert "a.csv, b.csv: 2 of 4 rows are bad." in message
    assert "a.csv, line 3, timestamp '2024-01-02T00:01Z': other values for this bar in another file (see line 2 of b.csv)" in message
    assert "b.csv, line 2, timestamp '2024-01-02T00:01Z': other values for this bar in another file (see line 3 of a.csv)" in message
    bars = read(HEADER + MINUTES[0] + MINUTES[1], other, skip_bad_rows=True)
    assert table(bars).close.tolist() == [PRICES[0], PRICES[2]]


def test_a_copy_within_a_file_is_bad_even_where_another_file_has_it(read: Read) -> None:
    bars = read(HEADER + MINUTES[0] + MINUTES[0], HEADER + MINUTES[0] + MINUTES[1], skip_bad_rows=True)
    assert [(row.file, row.line) for row in bars.bad_rows.first] == [("a.csv", 3)]
    assert closes(bars) == utc("2024-01-02 00:01", "2024-01-02 00:02")
    assert bars.warnings == ["1 row that several files hold with the same values was taken once."]


def test_a_file_named_twice_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = written(tmp_path / "a.csv", HEADER + MINUTES[0])
    with pytest.raises(UsageError, match=r"a\.csv is named twice"):
        CsvSource([path, tmp_path / "." / "a.csv"])
    with pytest.raises(UsageError, match="No CSV file was named"):
        CsvSource([])
