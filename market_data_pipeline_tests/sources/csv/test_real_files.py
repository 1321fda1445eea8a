"""Files as traders and vendors wrote them, compared with a reading by Python's own csv, decimal and datetime."""

from __future__ import annotations

import csv
import datetime as dt
from collections import Counter
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from market_data_pipeline.domain.errors import BadRows
from market_data_pipeline.sources.csv import LAYOUTS
from market_data_pipeline_tests.instants import NEW_YORK, ns
from market_data_pipeline_tests.sources.csv.conftest import Read
from market_data_pipeline_tests.sources.csv.rows import table

FX = "EUR-USD_EUR_USD_IDEALPRO_{}_MID_EXTERNAL.csv"
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def nanoseconds(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1) * 1_000


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def mantissas(rows: list[dict[str, str]], column: str, decimals: int) -> list[int]:
    return [int(Decimal(row[column]).scaleb(decimals)) for row in rows]


def test_eurusd_15_minutes_are_taken_value_by_value(read: Read, market_data: Path) -> None:
    path = market_data / "ibkr-csv" / FX.format("15_MINUTE")
    rows = rows_of(path)
    assert len(rows) == 45_238
    bars = read(path, bars="EUR/USD.IDEALPRO-15-MINUTE-MID", precision=(5, 2), layout=LAYOUTS["ibkr-closes"], stamp=None)
    got = table(bars)
    closes = [nanoseconds(dt.datetime.fromisoformat(row["timestamp"])) for row in rows]
    assert got.ts_init.tolist() == closes
    assert got.ts_event.tolist() == [close - 15 * 60 * 10**9 for close in closes]
    for column in ("open", "high", "low", "close"):
        assert got.column(column).tolist() == mantissas(rows, column, 5)
    assert set(got.volume.tolist()) == {0}
    assert (bars.rows_bad, bars.warnings) == (0, [])


def test_the_sessions_of_eurusd_are_those_of_the_currencies(read: Read, market_data: Path) -> None:
    """Named by the day on which they end at 17:00 New York; 15-minute and day bars know the same sessions."""
    fine = read(market_data / "ibkr-csv" / FX.format("15_MINUTE"), bars="EUR/USD.IDEALPRO-15-MINUTE-MID", precision=(5, 2), stamp="close")
    daily = read(market_data / "ibkr-csv" / FX.format("1_DAY"), bars="EUR/USD.IDEALPRO-1-DAY-MID", precision=(5, 2), stamp="close")
    assert fine.sessions == daily.sessions
    new_york = ZoneInfo(NEW_YORK)
    for answer in fine.answers():
        last = dt.datetime.fromtimestamp(int(answer.bars.ts_init[-1]) // 10**9, new_york)
        assert last.date() == answer.session
    # By the stamps themselves (New York): nothing after 16:00 on 2023-12-29, nothing from 00:00 to 17:15 on 2025-10-27, and the file ends
    # at 00:00 of 2025-10-30.
    partial = {str(a.session): a.quality.longest_absence_s for a in fine.answers() if a.coverage == "partial"}
    assert partial == {"2023-12-29": 3_600, "2025-10-27": 17 * 3_600, "2025-10-30": 17 * 3_600}


@pytest.mark.parametrize(
    ("sunday", "first_close", "friday_end"),
    [
        # The weeks in which New York's clock is set: the session opens at 17:15 by that clock, an hour earlier or later in UTC.
        ("2024-03-10", "2024-03-10 21:30", "2024-03-08 22:00"),
        ("2024-11-03", "2024-11-03 22:30", "2024-11-01 21:00"),
        ("2025-03-09", "2025-03-09 21:30", "2025-03-07 22:00"),
    ],
)
def test_dst_weeks_of_eurusd(read: Read, market_data: Path, sunday: str, first_close: str, friday_end: str) -> None:
    bars = read(market_data / "ibkr-csv" / FX.format("15_MINUTE"), bars="EUR/USD.IDEALPRO-15-MINUTE-MID", precision=(5, 2), stamp="close")
    day = dt.date.fromisoformat(sunday)
    friday, monday = bars.answers([day - dt.timedelta(2), day + dt.timedelta(1)])
    assert int(friday.bars.ts_init[-1]) == ns(friday_end)
    assert int(monday.bars.ts_init[0]) == ns(first_close)
    assert (len(monday.bars), monday.coverage) == (95, "complete")


def test_eurusd_days_are_taken_value_by_value(read: Read, market_data: Path) -> None:
    path = market_data / "ibkr-csv" / FX.format("1_DAY")
    rows = rows_of(path)
    assert len(rows) == 478
    bars = read(path, bars="EUR/USD.IDEALPRO-1-DAY-MID", precision=(5, 2), stamp="close")
    got = table(bars)
    days = [ns(row["timestamp"][:10]) for row in rows]
    assert got.ts_event.tolist() == days
    assert got.ts_init.tolist() == [day + 86_400 * 10**9 - 1 for day in days]
    for column in ("open", "high", "low", "close"):
        assert got.column(column).tolist() == mantissas(rows, column, 5)
    assert [a.coverage for a in bars.answers()] == ["complete"] * 478


def test_a_vendors_prices_with_four_decimals_are_refused_at_two(read: Read, market_data: Path) -> None:
    path = market_data / "vendor-csv" / "AAPL_test_2018.csv"
    needing_more = sum(any(Decimal(row[c]) * 100 % 1 for c in ("open", "high", "low", "close")) for row in rows_of(path))
    with pytest.raises(BadRows) as refused:
        read(path, bars="AAPL.NASDAQ-1-MINUTE-LAST", precision=(2, 0), time_zone=NEW_YORK)
    message = str(refused.value)
    assert message.startswith(f"AAPL_test_2018.csv: {needing_more:,} of 3,235 rows are bad. Nothing was written.")
    assert "AAPL_test_2018.csv, line 2, open '38.2565': more decimals than the instrument has (2 in prices" in message
    assert "The file needs 4 decimals in prices." in message


def test_a_vendors_prices_are_exact_at_four_decimals_in_the_right_sessions(read: Read, market_data: Path) -> None:
    path = market_data / "vendor-csv" / "AAPL_test_2018.csv"
    rows = rows_of(path)
    bars = read(path, bars="AAPL.NASDAQ-1-MINUTE-LAST", precision=(4, 0), time_zone=NEW_YORK)
    got = table(bars)
    for column in ("open", "high", "low", "close"):
        assert got.column(column).tolist() == mantissas(rows, column, 4)
    assert got.volume.tolist() == [int(row["volume"]) for row in rows]
    opens = [dt.datetime.fromisoformat(row["timestamp"]).replace(tzinfo=ZoneInfo(NEW_YORK)) for row in rows]
    assert got.ts_event.tolist() == [nanoseconds(moment) for moment in opens]
    # 04:00 to 20:00 all belong to the day on which they traded.
    by_day = Counter(moment.date() for moment in opens)
    assert {a.session: len(a.bars) for a in bars.answers()} == by_day
    assert bars.warnings == []
    # Regular hours are whole, though many minutes before and after are absent.
    assert [(a.quality.expected, str(a.coverage)) for a in bars.answers()] == [(390, "complete")] * 4
