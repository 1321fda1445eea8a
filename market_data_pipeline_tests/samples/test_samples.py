from __future__ import annotations

import csv
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from market_data_pipeline.samples import write_samples

# NYSE holiday calendar 2024: 21 + 20 + 20 full sessions of 390 minutes from 2 January to 28 March (29 March was Good Friday).
_SESSIONS = 61
# IDEALPRO: 62 sessions of 95 quarter hours (17:15 to 17:00) and 2 January, which opened at 19:00 on the holiday (../shared/market-data): 88.
_FX_BARS = 62 * 95 + 88
_STOCKS = ("AAPL.NASDAQ", "MSFT.NASDAQ", "SPY.ARCA")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_samples(tmp_path_factory.mktemp("samples")).folder


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_folder_holds_five_files_and_says_that_prices_are_invented(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "AAPL.NASDAQ-1-DAY-LAST.csv",
        "AAPL.NASDAQ-1-MINUTE-LAST.csv",
        "EURUSD.IDEALPRO-15-MINUTE-MID.csv",
        "MSFT.NASDAQ-1-MINUTE-LAST.csv",
        "README.md",
        "SPY.ARCA-1-MINUTE-LAST.csv",
    ]
    assert "Invented prices" in (folder / "README.md").read_text()


@pytest.mark.parametrize("instrument_id", _STOCKS)
def test_stocks_have_390_naive_new_york_opens_a_session(folder: Path, instrument_id: str) -> None:
    stamps = [row["timestamp"] for row in _rows(folder / f"{instrument_id}-1-MINUTE-LAST.csv")]
    assert len(stamps) == _SESSIONS * 390
    assert stamps[0] == "2024-01-02 09:30:00"
    assert stamps[389:391] == ["2024-01-02 15:59:00", "2024-01-03 09:30:00"]
    assert stamps[-1] == "2024-03-28 15:59:00"
    assert stamps == sorted(set(stamps))


def test_the_currency_pair_has_closes_with_new_yorks_offset(folder: Path) -> None:
    rows = _rows(folder / "EURUSD.IDEALPRO-15-MINUTE-MID.csv")
    stamps = [row["timestamp"] for row in rows]
    assert len(stamps) == _FX_BARS
    assert (stamps[0], stamps[-1]) == ("2024-01-01T19:15:00-05:00", "2024-03-28T17:00:00-04:00")
    # Clocks went forward on Sunday 10 March, before the week opened.
    assert stamps[stamps.index("2024-03-08T17:00:00-05:00") + 1] == "2024-03-10T17:30:00-04:00"
    moments = [datetime.fromisoformat(stamp) for stamp in stamps]
    assert moments == sorted(set(moments))
    assert {row["volume"] for row in rows} == {"0"}


@pytest.mark.parametrize(
    ("name", "decimals"),
    [*((f"{stock}-1-MINUTE-LAST", 2) for stock in _STOCKS), ("AAPL.NASDAQ-1-DAY-LAST", 2), ("EURUSD.IDEALPRO-15-MINUTE-MID", 5)],
)
def test_prices_have_the_instruments_decimals_and_keep_their_order(folder: Path, name: str, decimals: int) -> None:
    rows = _rows(folder / f"{name}.csv")
    assert list(rows[0]) == ["timestamp", "open", "high", "low", "close", "volume"]
    for row in rows:
        low, high = Decimal(row["low"]), Decimal(row["high"])
        for column in ("open", "high", "low", "close"):
            assert low <= Decimal(row[column]) <= high
            assert len(row[column].partition(".")[2]) == decimals
        assert low > 0
        assert row["volume"].isdecimal()


def test_days_are_made_of_the_minutes(folder: Path) -> None:
    minutes = [row for row in _rows(folder / "AAPL.NASDAQ-1-MINUTE-LAST.csv") if row["timestamp"].startswith("2024-02-29")]
    days = _rows(folder / "AAPL.NASDAQ-1-DAY-LAST.csv")
    assert len(days) == _SESSIONS
    assert next(day for day in days if day["timestamp"] == "2024-02-29") == {
        "timestamp": "2024-02-29",
        "open": minutes[0]["open"],
        "high": max((row["high"] for row in minutes), key=Decimal),
        "low": min((row["low"] for row in minutes), key=Decimal),
        "close": minutes[-1]["close"],
        "volume": str(sum(int(row["volume"]) for row in minutes)),
    }


@pytest.mark.parametrize(("name", "at_least"), [("AAPL.NASDAQ-1-MINUTE-LAST", 60), ("EURUSD.IDEALPRO-15-MINUTE-MID", 10)])
def test_averages_of_40_and_260_bars_cross_often_enough_to_trade(folder: Path, name: str, at_least: int) -> None:
    closes = np.array([float(row["close"]) for row in _rows(folder / f"{name}.csv")])
    fast, slow = (np.convolve(closes, np.full(n, 1 / n), mode="valid") for n in (40, 260))
    crossings = np.count_nonzero(np.diff(np.sign(fast[-len(slow) :] - slow)))
    assert at_least <= crossings <= len(closes) // 40


def test_quiet_and_wild_hours_follow_each_other(folder: Path) -> None:
    closes = np.array([float(row["close"]) for row in _rows(folder / "AAPL.NASDAQ-1-MINUTE-LAST.csv")])
    size = np.abs(np.diff(np.log(closes)))
    assert np.corrcoef(size[:-1], size[1:])[0, 1] > 0.05


def test_a_second_run_rewrites_only_what_was_changed(tmp_path: Path) -> None:
    assert len(write_samples(tmp_path).made) == 6
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    changed = tmp_path / "SPY.ARCA-1-MINUTE-LAST.csv"
    content = changed.read_bytes()
    changed.write_bytes(content[:1000])

    assert write_samples(tmp_path).made == (changed.name,)
    assert changed.read_bytes() == content
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {changed.name}


def test_the_command_says_what_it_made_and_where(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "market_data_pipeline.samples", "--out", str(tmp_path / "new")]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert first == f"Sample data (invented prices): 5 files, 77,409 bars in {tmp_path / 'new'}, made.\n"
    assert second.endswith("unchanged.\n")


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    command = [sys.executable, "-m", "market_data_pipeline.samples", "--out", str(tmp_path / "file" / "samples")]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "--out FOLDER" in ended.stderr
