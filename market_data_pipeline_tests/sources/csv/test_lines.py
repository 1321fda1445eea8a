from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from market_data_pipeline.domain.errors import SourceRefused, SourceUnavailable
from market_data_pipeline.sources.csv.lines import read_blocks, text_size
from market_data_pipeline_tests.sources.csv.conftest import Read, written
from market_data_pipeline_tests.sources.csv.rows import HEADER, bar, closes, table, utc

TEXT = HEADER + bar("2024-01-02T00:00Z") + bar("2024-01-02T00:01Z") + bar("2024-01-02T00:02Z")
CLOSES = utc("2024-01-02 00:01", "2024-01-02 00:02", "2024-01-02 00:03")


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        TEXT.encode().removesuffix(b"\n"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-be").join([b"\xfe\xff", b""]),
        gzip.compress(TEXT.encode()),
        gzip.compress(TEXT[:60].encode()) + gzip.compress(TEXT[60:].encode()),
        TEXT.replace("\n", "\n\n").encode(),
        b"\n\n" + TEXT.encode() + b"\n  \n",
        TEXT.replace("timestamp", '"timestamp"').replace("10,", '"10",').encode(),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode(),
        TEXT.replace(",", "|").encode(),
        TEXT.replace(",", " , ").encode(),
        TEXT.upper().replace("TIMESTAMP", "DateTime").encode(),
    ],
    ids=[
        *("plain", "no end", "crlf", "cr", "bom", "utf-16-le", "utf-16-be", "gzip", "gzip in two members", "double spaced", "blank around"),
        *("quoted", "semicolon", "tab", "pipe", "blanks", "upper case"),
    ],
)
def test_one_text_in_many_coats_gives_the_same_bars(read: Read, data: bytes) -> None:
    bars = read(data)
    assert closes(bars) == CLOSES
    assert table(bars).open.tolist() == [1000, 1000, 1000]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block_bytes", [1, 7, 64, 1 << 20])
def test_blocks_are_whole_lines_with_their_numbers(tmp_path: Path, end: str, block_bytes: int) -> None:
    lines = [f"line {i}" * (i % 3) for i in range(1, 30)]
    path = written(tmp_path / "a.csv", end.join(lines))
    found: dict[int, str] = {}
    for block in read_blocks(path, block_bytes=block_bytes):
        for i, line in enumerate(block.text.decode().split("\n")[:-1]):
            found[block.first_line + i] = line
    assert found == dict(enumerate(lines, start=1))


def test_progress_counts_the_bytes_of_the_file_as_it_lies_there(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv.gz", gzip.compress(TEXT.encode()))
    told: list[int] = []
    list(read_blocks(path, told.append))
    assert told[-1] == path.stat().st_size


def test_the_size_of_a_gzip_text_is_what_it_says_of_itself(tmp_path: Path) -> None:
    assert text_size(written(tmp_path / "a.gz", gzip.compress(b"x" * 100_000))) == 100_000


def test_a_torn_gzip_is_refused(read: Read) -> None:
    with pytest.raises(SourceRefused, match=r"a\.csv is a broken gzip file .*Get the file again"):
        read(gzip.compress((TEXT * 1000).encode())[:-20])


def test_a_file_without_lines_is_refused(read: Read) -> None:
    with pytest.raises(SourceRefused, match="longer than 1,048,576 bytes"):
        read(TEXT.encode() + b"x" * 6_000_000)


@pytest.mark.parametrize(("text", "said"), [("", "is empty"), ("\n\n", "holds no rows"), (HEADER, "has a header and no rows")])
def test_a_file_without_rows_is_refused(read: Read, text: str, said: str) -> None:
    with pytest.raises(SourceRefused, match=said):
        read(text)


def test_a_missing_file_and_a_folder_are_named(read: Read, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"nowhere\.csv cannot be read: No such file"):
        read(tmp_path / "nowhere.csv")
    with pytest.raises(SourceRefused, match=r"is a folder. Name the CSV files in it"):
        read(tmp_path)


def test_bytes_that_are_no_utf8_make_a_bad_row_and_no_more(read: Read) -> None:
    bars = read(TEXT.encode() + b"2024-01-02T00:03Z,\xff\xfe,10,10,10,1\n", skip_bad_rows=True)
    assert closes(bars) == CLOSES
    assert [(row.line, row.column, row.rule) for row in bars.bad_rows.first] == [(5, "open", "not a number")]
