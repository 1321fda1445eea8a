"""What a file is, told by evidence. Bars are laid on the venue's clock by `zoneinfo`; the files of exporters are in `files/`."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import QuestionUnanswered, SourceRefused, UsageError
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.sources.csv import LAYOUTS, CsvSource, Declared, Stamp, Verdict, recognise
from market_data_pipeline.sources.csv.layout import Prices
from market_data_pipeline.sources.csv.sample import sample_of
from market_data_pipeline.tabular.numbers import NumberFault, parse_numbers, parse_scaled, without_marks
from market_data_pipeline.tabular.zones import to_utc
from market_data_pipeline_tests.instants import NEW_YORK, ns
from market_data_pipeline_tests.sources.csv.conftest import Read, written
from market_data_pipeline_tests.sources.csv.rows import HEADER, bar, opens, table, utc

MINUTE, QUARTER = dt.timedelta(minutes=1), dt.timedelta(minutes=15)
AAPL, EURUSD = "AAPL.NASDAQ-1-MINUTE-LAST", "EUR/USD.IDEALPRO-15-MINUTE-MID"
Clock = Callable[[dt.datetime], dt.datetime]


def clock(zone: str) -> Clock:
    return lambda moment: moment.astimezone(zoneinfo.ZoneInfo(zone))


def server(moment: dt.datetime) -> dt.datetime:
    """A MetaTrader server whose day ends when New York's currency day does: seven hours ahead of New York."""
    return clock(NEW_YORK)(moment).replace(tzinfo=None) + dt.timedelta(hours=7)


def regular_minutes(*dates: str) -> list[dt.datetime]:
    """Every third minute of 09:30 to 16:00, and the last: the edges are there."""
    found = []
    for date in dates:
        first = dt.datetime.fromisoformat(f"{date} 09:30").replace(tzinfo=zoneinfo.ZoneInfo(NEW_YORK))
        found += [first + i * MINUTE for i in (*range(0, 389, 3), 389)]
    return found


def currency_quarters(first_sunday: str, weeks: int) -> list[dt.datetime]:
    """Quarters of an hour from Sunday 17:00 to Friday 17:00 New York."""
    found = []
    for week in range(weeks):
        sunday = dt.datetime.fromisoformat(f"{first_sunday} 17:00") + dt.timedelta(weeks=week)
        found += [(sunday + i * QUARTER).replace(tzinfo=zoneinfo.ZoneInfo(NEW_YORK)) for i in range(5 * 96)]
    return found


def text(moments: list[dt.datetime], shown: Clock, form: str = "%Y-%m-%d %H:%M", after: dt.timedelta = dt.timedelta()) -> str:
    return HEADER + "".join(bar(shown(moment + after).strftime(form)) for moment in moments)


def told(path: Path, content: str, bars: str, declared: Declared | None = None) -> Verdict:
    series = Series.parse(f"{bars}-EXTERNAL")
    return recognise([written(path / "a.csv", content)], series, partitions_of(series), declared)


MARCH = ("2024-03-06", "2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12", "2024-03-13")


@pytest.mark.parametrize("zone", [NEW_YORK, "UTC", "Etc/GMT+5", "Europe/Berlin", "Asia/Tokyo"])
@pytest.mark.parametrize("stamp", list(Stamp))
def test_minutes_of_shares_over_a_change_of_clocks_tell_zone_and_stamp(tmp_path: Path, zone: str, stamp: Stamp) -> None:
    after = MINUTE if stamp is Stamp.CLOSE else dt.timedelta()
    verdict = told(tmp_path, text(regular_minutes(*MARCH), clock(zone), after=after), AAPL)
    # Tokyo has no DST: its clock is nine hours ahead of UTC, and goes by that name.
    assert (verdict.time_zone, verdict.stamp) == ("Etc/GMT-9" if zone == "Asia/Tokyo" else zone, stamp)
    assert not verdict.undecided


def test_the_evidence_is_told_in_words(tmp_path: Path) -> None:
    verdict = told(tmp_path, text(regular_minutes(*MARCH), clock("UTC")), AAPL)
    said = "\n".join(verdict.evidence)
    assert "first stamps jump from 14:30 to 13:30 where the clocks of America/New_York change (2024-03-10): UTC" in said
    assert "stamps are bar opens" in said
    assert any("bars would trade outside" in line for line in verdict.excluded)


def test_two_sessions_do_not_tell(tmp_path: Path) -> None:
    verdict = told(tmp_path, text(regular_minutes(*MARCH[:2]), clock(NEW_YORK)), AAPL)
    assert [question.option for question in verdict.undecided] == ["--timezone", "--stamp"]


@pytest.mark.parametrize(("shown", "zone"), [(clock("UTC"), "UTC"), (clock("Etc/GMT+5"), "Etc/GMT+5"), (server, "America/New_York+7")])
def test_the_week_of_currencies_tells_their_clock(tmp_path: Path, shown: Clock, zone: str) -> None:
    verdict = told(tmp_path, text(currency_quarters("2024-02-25", 6), shown), EURUSD)
    assert (verdict.time_zone, verdict.stamp, verdict.undecided) == (zone, Stamp.OPEN, ())


def test_currencies_in_winter_alone_leave_the_zone_open(tmp_path: Path) -> None:
    verdict = told(tmp_path, text(currency_quarters("2024-01-07", 5), clock(NEW_YORK)), EURUSD)
    assert [question.option for question in verdict.undecided] == ["--timezone"]
    assert {"America/New_York", "Etc/GMT+5"} <= set(verdict.undecided[0].choices)


def test_a_declaration_against_the_evidence_is_refused_with_both(tmp_path: Path) -> None:
    content = text(regular_minutes(*MARCH), clock(NEW_YORK))
    with pytest.raises(QuestionUnanswered, match=r"by UTC, .*pass --timezone America/New_York; to insist on the first, pass --layout generic"):
        told(tmp_path, content, AAPL, Declared(time_zone="UTC", stamp=Stamp.OPEN))
    with pytest.raises(QuestionUnanswered, match=r"as bar closes by America/New_York.*pass --stamp open"):
        told(tmp_path, content, AAPL, Declared(time_zone=NEW_YORK, stamp=Stamp.CLOSE))


def test_a_layout_that_was_named_counts_and_the_evidence_is_a_warning(tmp_path: Path) -> None:
    content = text(regular_minutes(*MARCH), clock(NEW_YORK))
    verdict = told(tmp_path, content, AAPL, Declared(layout=LAYOUTS["generic"], time_zone="UTC", stamp=Stamp.OPEN))
    assert (verdict.time_zone, verdict.undecided) == ("UTC", ())
    assert "pass --timezone America/New_York" in verdict.warnings[0]


def test_what_lies_far_behind_the_head_of_a_large_file_is_seen(tmp_path: Path) -> None:
    lines = "".join(bar(f"2024-01-02T00:00:{i % 60:02}Z", volume=str(i)) for i in range(50_000))
    sample = sample_of([written(tmp_path / "a.csv", HEADER + lines)], LAYOUTS["generic"], ",", budget=300_000)
    volumes = [int(volume) for volume in sample.values["volume"].to_pylist()]
    assert not sample.whole
    assert (volumes[0], volumes[-1]) == (0, 49_999)
    assert 20 <= len(sample.breaks) <= 24
    assert any(24_000 < volume < 26_000 for volume in volumes)


def test_a_server_clock_changes_with_new_york() -> None:
    """New York is UTC-5 in January and UTC-4 in July, so seven hours ahead of it is UTC+2 and UTC+3."""
    local = to_utc("America/New_York+7", pa.array([ns("2024-01-10 12:00"), ns("2024-07-10 12:00")]).to_numpy())
    assert local.first.tolist() == utc("2024-01-10 10:00", "2024-07-10 09:00")


def test_signs_and_thousands_are_taken_off_and_nothing_else() -> None:
    texts = pa.array(["$187.15", "1,234.56", "$1,234", "1,23", "1.234,56", "12,3456"])
    numbers = parse_numbers(without_marks(texts, "$,"), 2)
    assert numbers.mantissas[:3].tolist() == [18_715, 123_456, 123_400]
    assert numbers.faults is not None
    assert (numbers.faults[3:] == NumberFault.NOT_A_NUMBER).all()


def test_whole_numbers_of_1e_9_are_exact_or_not_taken() -> None:
    numbers = parse_scaled(pa.array(["187150000000", "187155000000", "x", ""]), 2, 9)
    assert numbers.mantissas[:1].tolist() == [18_715]
    assert numbers.decimals_needed == 3
    assert numbers.faults is not None
    assert numbers.faults[1:].tolist() == [NumberFault.TOO_PRECISE, NumberFault.NOT_A_NUMBER, NumberFault.EMPTY]


def test_adjusted_prices_keep_the_ratio_of_adjusted_close_to_close(tmp_path: Path) -> None:
    """Close 100 was adjusted to 98.50, so open 101 is 101 x 0.985 = 99.485, which is rounded to the even cent: 99.48."""
    content = "Date,Open,High,Low,Close,Adj Close,Volume\n2024-07-01,101,102,99,100,98.50,7\n"
    series = Series.parse("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL")
    with CsvSource([written(tmp_path / "a.csv", content)], prices=Prices.ADJUSTED) as source:
        only = table(source.open(series, partitions_of(series), Precision(2, 0)))
        assert [int(only.column(name)[0]) for name in ("open", "high", "low", "close")] == [9948, 10047, 9752, 9850]
        assert source.provenance.convention.adjustment == "split+dividend"


def test_adjusted_prices_need_a_column_of_them(tmp_path: Path) -> None:
    series = Series.parse("AAPL.NASDAQ-1-DAY-LAST-EXTERNAL")
    source = CsvSource([written(tmp_path / "a.csv", HEADER + bar("2024-07-01"))], prices=Prices.ADJUSTED)
    with source, pytest.raises(UsageError, match=r"a\.csv has no column of adjusted closes"):
        source.open(series, partitions_of(series), Precision(2, 0))


def test_rows_that_tell_of_a_dividend_are_left_out_and_counted(read: Read) -> None:
    header = "Date,Open,High,Low,Close,Adj Close,Volume\n"
    rows = '"Feb 8, 2024",1,1,1,1,1,7\n"Feb 9, 2024","0.24 Dividend"\n"Feb 9, 2024",1,1,1,1,1,"1,000"\n'
    bars = read(header + rows, bars="AAPL.NASDAQ-1-DAY-LAST", stamp=None)
    assert opens(bars) == utc("2024-02-08", "2024-02-09")
    assert table(bars).volume.tolist() == [7, 1000]
    assert any("1 row of a dividend" in warning for warning in bars.warnings)


def test_rows_of_one_symbol_are_taken_where_it_is_named(read: Read, tmp_path: Path) -> None:
    header = "symbol,timestamp,open,high,low,close,volume\n"
    content = header + "".join(f"{name},{bar('2024-01-02T00:00Z', price)}" for name, price in (("BTC", "10"), ("ETH", "20")))
    with pytest.raises(QuestionUnanswered, match=r"2 symbols \(BTC, ETH\): pass --symbol"):
        read(content)
    series = Series.parse("BTC/USDT.BINANCE-1-MINUTE-LAST-EXTERNAL")
    with CsvSource([written(tmp_path / "b.csv", content)], symbol="ETH", stamp="open") as source:
        assert table(source.open(series, partitions_of(series), Precision(2, 0))).close.tolist() == [2000]


def test_exchanged_columns_of_open_and_close_are_seen(tmp_path: Path) -> None:
    """Each bar opens where the one before closed, and the two are written under each other's name."""
    lines = []
    for i, moment in enumerate(regular_minutes(*MARCH[:1])):
        opened, closed = 100 + (i * 7) % 11, 100 + ((i + 1) * 7) % 11
        lines.append(f"{moment:%Y-%m-%dT%H:%M%z},{closed},120,90,{opened},1\n")
    with pytest.raises(QuestionUnanswered, match="open and close seem to be exchanged"):
        told(tmp_path, HEADER + "".join(lines), AAPL)


@pytest.mark.parametrize(("content", "said"), [("PK\x03\x04x", "Excel workbook"), ("<!DOCTYPE html><html>", "web page"), ('{"a": 1}', "JSON")])
def test_what_is_no_csv_is_named(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(SourceRefused, match=said):
        told(tmp_path, content, AAPL)


def test_a_header_that_adjusted_tables_have_too_says_that_prices_are_taken_as_raw(tmp_path: Path) -> None:
    days = "Date,Open,High,Low,Close,Volume\n2024-01-02,1.00,1.20,0.90,1.10,5\n2024-01-03,1.10,1.30,1.00,1.20,5\n"
    verdict = told(tmp_path, days, "AAPL.NASDAQ-1-DAY-LAST")
    assert verdict.layout.adjustment == "raw"
    assert any("--layout yahoo or stooq" in line for line in verdict.evidence)
