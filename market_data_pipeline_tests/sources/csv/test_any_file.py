"""Whatever stands between them: every good row is a bar with its line, every bad one is told with its line, and nothing else is."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from unittest import mock

from hypothesis import example, given
from hypothesis import strategies as st

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.sources.csv import CsvSource, reading, report
from market_data_pipeline.sources.csv.lines import read_blocks
from market_data_pipeline_tests import tally
from market_data_pipeline_tests.instants import ns
from market_data_pipeline_tests.sources.csv.conftest import NOW, written
from market_data_pipeline_tests.sources.csv.rows import HEADER, table

GOOD = ("{},10,10,10,10,1", '"{}",10.5,"11.00",10.5,11,0', " {} , 10 ,1e1,10.0, 10.000 ,1", "{},10.25,10.5,.5,5.,7")
BAD = (
    *("1,2", "{},10,10,10,10,1,1", '{},"10,10,10,10,1', '{},10"x,"10,10,10,1', "noon,1,1,1,1,1", ",1,1,1,1,1", "{},,1,1,1,1", "{},x,1,1,1,1"),
    *("{},10,9,11,10,1", "{},0,10,0,10,1", "{},10,10,10,10,-1", "{},10.001,11,10,10,1", "{},1e30,1e30,1,1,1", ",,,,,", "\x00", "é{},1,1,1,1,1"),
)
BLANK = ("", "   ", "\t")
SERIES = Series.parse("BTC/USDT.BINANCE-1-MINUTE-LAST-EXTERNAL")
START = ns("2024-01-02 00:00")
MINUTE = 60 * 10**9

LINES = st.lists(st.one_of(*(st.tuples(st.just(kind), st.sampled_from(kinds)) for kind, kinds in (("good", GOOD), ("bad", BAD), ("blank", BLANK)))))


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.sampled_from([1, 100, 1 << 20]), st.booleans())
@example([("bad", BAD[2])], "\n", 1 << 20, False)
@example([("good", GOOD[0]), ("bad", BAD[2]), ("good", GOOD[1]), ("blank", ""), ("good", GOOD[0])], "\r\n", 1 << 20, True)
def test_every_line_is_a_bar_or_told(lines: list[tuple[str, str]], end: str, block_bytes: int, last_end: bool) -> None:
    tally.count("fuzz cases")
    stamp = "2024-01-02T{:02}:{:02}Z".format
    lines = [("good", GOOD[0]), *lines]  # a file of bad rows alone may leave open how its times are written
    text = HEADER + end.join(line.format(stamp(i // 60, i % 60)) for i, (_, line) in enumerate(lines)) + (end if last_end else "")
    good = {START + (i + 1) * MINUTE: i + 2 for i, (kind, _) in enumerate(lines) if kind == "good"}
    bad = [i + 2 for i, (kind, _) in enumerate(lines) if kind == "bad"]
    small = partial(read_blocks, block_bytes=block_bytes)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(reading, "read_blocks", small),
        mock.patch.object(report, "read_blocks", small),
        CsvSource([written(Path(folder) / "a.csv", text)], stamp="open", skip_bad_rows=True, clock=lambda: NOW) as source,
    ):
        bars = source.open(SERIES, partitions_of(SERIES), Precision(2, 0))
        assert {int(close): (bars.line_of(int(close)) or ("", 0))[1] for close in table(bars).ts_init} == good
        assert (bars.rows, bars.rows_bad) == (len(good), len(bad))
        assert [row.line for row in bars.bad_rows.first] == bad[:20]
