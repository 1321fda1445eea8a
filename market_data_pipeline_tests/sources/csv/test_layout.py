from __future__ import annotations

from pathlib import Path

import pytest

from market_data_pipeline.domain.errors import ConfigurationError, QuestionUnanswered, UsageError
from market_data_pipeline.sources.csv import LAYOUTS, CsvLayout, CsvSource, Stamp, layout_from_mapping, layout_of, read_layout
from market_data_pipeline_tests.instants import NEW_YORK, ns
from market_data_pipeline_tests.sources.csv.conftest import Read, written
from market_data_pipeline_tests.sources.csv.rows import HEADER, bar, opens, table, utc

MINUTE = "BTC/USDT.BINANCE-1-MINUTE-LAST"
DAY = "AAPL.NASDAQ-1-DAY-LAST"


@pytest.mark.parametrize(
    ("layout", "bars", "zone", "text", "opened"),
    [
        # HistData's generic ASCII: EST all year, so 2024-07-01 09:30 is 14:30 UTC though New York's clock shows 10:30.
        ("histdata", MINUTE, None, "20240701 093000;1.11;1.14;1.10;1.13;7\n", "2024-07-01 14:30"),
        ("histdata-metatrader", MINUTE, None, "2024.07.01,09:30,1.11,1.14,1.10,1.13,7\n", "2024-07-01 14:30"),
        ("metatrader4", MINUTE, "Europe/Athens", "2024.07.01,09:30,1.11,1.14,1.10,1.13,7\n", "2024-07-01 06:30"),
        (
            "metatrader5",
            MINUTE,
            "Europe/Athens",
            "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n2024.07.01\t09:30:00\t1.11\t1.14\t1.10\t1.13\t7\t0\t2\n",
            "2024-07-01 06:30",
        ),
        (
            "metatrader5-daily",
            DAY,
            None,
            "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n2024.07.01\t1.11\t1.14\t1.10\t1.13\t7\t0\t2\n",
            "2024-07-01",
        ),
        ("yahoo", DAY, None, "Date,Open,High,Low,Close,Adj Close,Volume\n2024-07-01,1.11,1.14,1.10,1.13,1.02,7\n", "2024-07-01"),
        (
            "yahoo-intraday",
            MINUTE,
            None,
            "Datetime,Adj Close,Close,High,Low,Open,Volume\n2024-07-01 09:30:00-04:00,1.13,1.13,1.14,1.10,1.11,7\n",
            "2024-07-01 13:30",
        ),
        ("stooq", DAY, None, "Date,Open,High,Low,Close,Volume\n2024-07-01,1.11,1.14,1.10,1.13,7\n", "2024-07-01"),
        (
            "ibkr",
            MINUTE,
            None,
            ",date,open,high,low,close,volume,average,barCount\n0,2024-07-01 09:30:00-04:00,1.11,1.14,1.1,1.13,7.0,1.12,3\n",
            "2024-07-01 13:30",
        ),
        ("ibkr-closes", MINUTE, None, HEADER + "2024-07-01T09:31:00-04:00,1.11,1.14,1.1,1.13,7\n", "2024-07-01 13:30"),
        ("tradingview", MINUTE, None, "time,open,high,low,close,Volume\n1719840600,1.11,1.14,1.1,1.13,7\n", "2024-07-01 13:30"),
        (
            "binance",
            MINUTE,
            None,
            "1719840600000,1.11000000,1.14000000,1.10000000,1.13000000,7.00000000,1719840659999,7.9,3,4,4.5,0\n",
            "2024-07-01 13:30",
        ),
    ],
)
def test_the_known_layouts_read_what_their_exporters_write(read: Read, layout: str, bars: str, zone: str | None, text: str, opened: str) -> None:
    found = read(text, bars=bars, layout=LAYOUTS[layout], time_zone=zone, stamp=None)
    assert opens(found) == utc(opened)
    only = table(found)
    assert [int(only.column(name)[0]) for name in ("open", "high", "low", "close", "volume")] == [111, 114, 110, 113, 7]


@pytest.mark.parametrize(
    ("header", "line", "zone"),
    [
        ("<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>", "BTC,1,20240701,133000,1.11,1.14,1.1,1.13,7,0", "UTC"),
        ("<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>", "2024.07.01\t13:30:00\t1.11\t1.14\t1.1\t1.13\t7\t0\t2", "UTC"),
        ("Date,Time,Open,High,Low,Close,Volume", "2024-07-01,13:30,1.11,1.14,1.1,1.13,7", "UTC"),
        ("DATE;TIME;OPEN;HIGH;LOW;CLOSE;VOL", "20240701;133000;1.11;1.14;1.1;1.13;7", "UTC"),
        ("time,o,h,l,c,v", "1719840600,1.11,1.14,1.1,1.13,7", None),
        ("Volume,Close,Low,High,Open,Timestamp", "7,1.13,1.1,1.14,1.11,2024-07-01T13:30Z", None),
        ("datetime,time,open,high,low,close,volume", "2024-07-01T13:30Z,x,1.11,1.14,1.1,1.13,7", None),
    ],
)
def test_a_header_says_which_column_is_what(read: Read, header: str, line: str, zone: str | None) -> None:
    found = read(f"{header}\n{line}\n", time_zone=zone)
    only = table(found)
    assert opens(found) == utc("2024-07-01 13:30")
    assert [int(only.column(name)[0]) for name in ("open", "high", "low", "close", "volume")] == [111, 114, 110, 113, 7]


def test_yahoo_is_known_by_its_header_and_its_prices_are_adjusted(tmp_path: Path) -> None:
    path = written(tmp_path / "AAPL.csv", "Date,Open,High,Low,Close,Adj Close,Volume\n2024-07-01,1,1,1,1,1,1\n")
    assert CsvSource([path]).provenance.convention.adjustment == "split"


def test_a_file_without_volume_has_bars_of_volume_0(read: Read) -> None:
    for layout in (None, LAYOUTS["generic"]):
        assert table(read("timestamp,open,high,low,close\n2024-01-02T00:00Z,10,10,10,10\n", layout=layout)).volume.tolist() == [0]


def test_all_questions_come_in_one_message(read: Read) -> None:
    with pytest.raises(QuestionUnanswered) as asked:
        read(HEADER + bar("2024-01-02 09:30:00"), stamp=None)
    message = str(asked.value)
    for part in ("a.csv", "'2024-01-02 09:30:00'", "--timezone", "--stamp open or --stamp close", "--layout", "histdata"):
        assert part in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2024-01-02T09:30Z,10,10,10,10,1\n", r"a\.csv has no header .*Pass --layout NAME, one of generic, .*columns numbered"),
        ("when,first,top,bottom,last\nx,1,1,1,1\n", "names no column for time, open, high, low, close"),
        ("timestamp,open,high,low\nx,1,1,1\n", "names no column for close"),
        ("timestamp,open,high,low,close\n03/04/2024 09:30,1,1,1,1\n", "'03/04/2024 09:30' can be read in more than one way, or in none. .*time_form"),
    ],
)
def test_what_a_file_leaves_open_is_asked(read: Read, text: str, said: str) -> None:
    with pytest.raises(QuestionUnanswered, match=said):
        read(text)


def test_a_layout_that_does_not_fit_the_file_is_told(read: Read) -> None:
    with pytest.raises(ConfigurationError, match=r"a\.csv has no column 'Date' for time; its header \(split by ','\) is 'timestamp', 'open'"):
        read(HEADER + bar("2024-01-02T09:30Z"), layout=LAYOUTS["yahoo"])
    with pytest.raises(ConfigurationError, match=r"has 2 columns \(split by ';'\), but high is said to be column 3"):
        read("20240701 093000;1.11\n", layout=LAYOUTS["histdata"])
    with pytest.raises(ConfigurationError, match="has 2 columns called 'close'"):
        read("timestamp,open,high,low,close,close\n2024-01-02T09:30Z,1,1,1,1,1\n", layout=LAYOUTS["generic"])


def test_a_volume_column_of_ones_own_layout_must_be_there(read: Read) -> None:
    layout = CsvLayout(time="timestamp", open="open", high="high", low="low", close="close", volume="size")
    with pytest.raises(ConfigurationError, match="has no column 'size' for volume"):
        read(HEADER + bar("2024-01-02T09:30Z"), layout=layout)


def test_a_bad_first_row_does_not_hide_how_times_are_written(read: Read) -> None:
    bars = read(HEADER + bar("n/a") + bar("2024-01-02T09:30Z"), skip_bad_rows=True)
    assert opens(bars) == utc("2024-01-02 09:30")


def test_a_file_in_another_form_than_declared_is_bad_row_by_row(read: Read) -> None:
    layout = layout_from_mapping({"layout": "generic", "time_form": "DD/MM/YYYY HH:MM", "time_zone": "UTC"})
    bars = read(HEADER + bar("2024-01-02T09:30Z") + bar("2024-01-02T09:31Z"), layout=layout, skip_bad_rows=True)
    assert [row.rule for row in bars.bad_rows.first] == ["not a time of the form DD/MM/YYYY HH:MM"] * 2


def test_a_mapping_describes_a_layout_of_ones_own(read: Read) -> None:
    layout = layout_from_mapping(
        {
            "columns": {"time": 2, "clock": 3, "open": 4, "high": 5, "low": 6, "close": 7, "volume": None},
            "header": False,
            "delimiter": "semicolon",
            "time_form": "DD.MM.YYYY HH:MM",
            "time_zone": NEW_YORK,
            "stamp": "close",
            "decimal_mark": ",",
            "adjustment": "split",
        }
    )
    assert (layout.stamp, layout.delimiter, layout.name) == (Stamp.CLOSE, ";", "custom")
    found = read("AAPL;1.7.2024;9:31;1,11;1,14;1,1;1,13\n", layout=layout, stamp=None)
    assert opens(found) == [ns("2024-07-01 09:30", NEW_YORK)]
    assert table(found).close.tolist() == [113]


def test_a_mapping_may_start_from_a_known_layout() -> None:
    layout = layout_from_mapping({"layout": "metatrader4", "time_zone": "Europe/Athens", "columns": {"volume": 8}})
    assert (layout.time_zone, layout.volume, layout.open) == ("Europe/Athens", 8, 3)


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"layuot": "generic"}, "no key 'layuot'. There are: adjustment, blanks, columns, "),
        ({"layout": "nosuch"}, "No CSV layout is called 'nosuch'. There are: generic, "),
        ({}, "columns lacks time, open, high, low, close"),
        ({"columns": {"time": "t", "price": "p"}}, "columns has no 'price'. There are: time, clock, open"),
        ({"columns": ["time"]}, "columns is "),
        ({"columns": {"time": True}}, "column time is True"),
        ({"columns": {"time": None}}, "column time is None"),
        ({"layout": "generic", "stamp": "end"}, "stamp 'end' is neither open nor close"),
        ({"layout": "generic", "time_zone": "New York"}, "'New York' is no IANA time zone"),
        ({"layout": "generic", "time_zone": "../../etc/passwd"}, "is no IANA time zone"),
        ({"layout": "generic", "delimiter": "::"}, "delimiter '::' is not one character"),
        ({"layout": "generic", "delimiter": ",", "decimal_mark": ","}, "delimiter and decimal_mark are both a comma"),
        ({"layout": "generic", "decimal_mark": "'"}, "decimal_mark"),
        ({"layout": "generic", "time_form": "noon"}, "time_form 'noon' is unknown. Write auto, iso, "),
        ({"layout": "generic", "header": "no"}, "header is 'no'; write true or false"),
        ({"layout": "generic", "header": False}, "column 'timestamp' is named, but the layout has no header"),
        ({"layout": "generic", "time_form": 20240102}, "time_form is 20240102; write text in quotes"),
        ({"layout": "binance", "columns": {"time": 0}}, "columns are numbered from 1, not 0"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(mapping: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        layout_from_mapping(mapping)


def test_a_layout_is_named_or_stands_in_a_file(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.yaml", "layout: histdata\ntime_zone: UTC\n")
    assert read_layout("auto") is None
    assert read_layout("histdata") is LAYOUTS["histdata"]
    mine = read_layout(str(path))
    assert mine is not None
    assert mine.time_zone == "UTC"
    assert layout_of(None) is None
    assert layout_of("yahoo") is LAYOUTS["yahoo"]
    assert layout_of({"layout": "yahoo"}) == LAYOUTS["yahoo"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("layout: nosuch", r"mine\.yaml: No CSV layout"), ("a: b: c", "line 1: not valid YAML"), ("- 1", "holds no mapping"), (None, "cannot be read")],
)
def test_a_layout_file_that_is_wrong_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "mine.yaml"
    if text is not None:
        written(path, text)
    with pytest.raises(ConfigurationError, match=said):
        read_layout(str(path))


def test_what_the_user_declares_wins_over_the_layout(read: Read) -> None:
    text = "20240701 093000;1.11;1.14;1.10;1.13;7\n"
    assert opens(read(text, layout=LAYOUTS["histdata"], time_zone="UTC", stamp="close")) == utc("2024-07-01 09:29")
    assert opens(read(HEADER.replace(",", "~") + bar("2024-07-01T09:30Z").replace(",", "~"), delimiter="~")) == utc("2024-07-01 09:30")
    with pytest.raises(ConfigurationError, match="'Mars/Base' is no IANA time zone"):
        read(text, time_zone="Mars/Base")


@pytest.mark.parametrize(
    ("text", "bars", "said"),
    [
        (HEADER + "".join(bar(f"2024-01-02T00:{i:02}Z") for i in range(9)), "15-MINUTE", "usually 1 minute apart. .* pass --bar 1-MINUTE-LAST"),
        (HEADER + "".join(bar(f"2024-01-02T00:{i:02}Z") for i in range(9)), "1-DAY", "usually 1 minute apart. .* pass --bar 1-MINUTE-LAST"),
        (HEADER + "".join(bar(f"2024-01-{i:02}") for i in range(1, 9)), "1-MINUTE", "dates without a time of day .* Pass --bar 1-DAY-LAST"),
        (HEADER + "".join(bar(f"2024-01-{i:02}") for i in range(1, 9)), "1-WEEK", "usually 1 day apart. .* pass --bar 1-DAY-LAST"),
        (HEADER + "".join(bar(f"2024-01-{i:02}") for i in (1, 8, 15, 22, 29)), "1-DAY", "usually 7 days apart. .* pass --bar 1-WEEK-LAST"),
        (HEADER + "".join(bar(f"2024-{i:02}-01") for i in range(1, 12)), "1-DAY", "usually 31 days apart. .* pass --bar 1-MONTH-LAST"),
        (
            HEADER + "".join(bar(f"2024-01-02T{i // 4:02}:{i % 4 * 15:02}Z") for i in range(40)),
            "1-MINUTE",
            "all multiples of 15 minutes apart. .* pass --bar 15-MINUTE-LAST",
        ),
    ],
)
def test_bars_of_another_length_are_not_taken(read: Read, text: str, bars: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(text, bars=f"BTC/USDT.BINANCE-{bars}-LAST")


def test_hour_bars_may_be_aligned_to_their_session(read: Read) -> None:
    """IBKR's hours of a stock: 09:30, then 10:00, 11:00 and so on."""
    text = HEADER + "".join(bar(f"2024-07-01T{clock}:00-04:00") for clock in ("09:30", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00"))
    assert read(text, bars="AAPL.NASDAQ-1-HOUR-LAST").rows == 7


@pytest.mark.parametrize("close", ["00:01:00", "00:00:59", "00:00:59.999", "00:00:59.999999", "00:00:59.999999999"])
def test_a_close_may_be_written_as_the_last_instant_of_its_bar(read: Read, close: str) -> None:
    assert opens(read(HEADER + bar(f"2024-01-02T{close}Z"), stamp="close")) == utc("2024-01-02 00:00")


def test_bars_of_seconds_stand_on_whole_seconds(read: Read) -> None:
    text = HEADER + bar("2024-01-02T00:00:05Z") + bar("2024-01-02T00:00:10.5Z")
    bars = read(text, bars="BTC/USDT.BINANCE-5-SECOND-LAST", skip_bad_rows=True)
    assert opens(bars) == utc("2024-01-02 00:00:05")
    assert [row.rule for row in bars.bad_rows.first] == ["not on a whole second"]
