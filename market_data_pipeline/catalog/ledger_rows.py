"""Rows of the ledger: what is kept of a session and of a series, and how a row of the database becomes one.

SQLite keeps no checksums: a disk can change a value and leave the database in order, so every value is looked at.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from market_data_pipeline.catalog.ledger_database import MADE_ANEW, Found
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage
from market_data_pipeline.domain.errors import StorageFailed, UsageError
from market_data_pipeline.domain.source import Precision

# 9999-12-31, the last date that Python knows.
_LAST_DAY = 2_932_896
_UNREADABLE = (AttributeError, TypeError, ValueError, OverflowError, UsageError)


@dataclass(frozen=True)
class SessionRow:
    """What the ledger keeps of one stored session.

    Attributes:
        day: Day number of the session's date (days since 1970-01-01).
        coverage: `complete`, `empty` or `partial`.
        rows: Bars.
        first_open_ns: Open of the first bar, UTC nanoseconds; None without bars.
        last_close_ns: Close of the last bar, UTC nanoseconds; None without bars.
        bytes: The session's share of its file.
        fingerprint: `BarTable.fingerprint` of the session's bars.
        source: Where they come from.
        asked: What was asked.
        stored_at_ns: When, UTC nanoseconds.
        expected: Bars that regular hours could hold.
        regular: Bars in regular hours.
        longest_absence_s: Longest stretch of regular hours without a bar.
        file: Name of the file in the series' folder.
        file_size: Its size when it was checked.
        file_mtime_ns: Its change time when it was checked; 0 where several files hold the session.
        file_hash: `content_hash` of its bytes.
    """

    day: int
    coverage: Coverage
    rows: int
    first_open_ns: int | None
    last_close_ns: int | None
    bytes: int
    fingerprint: str
    source: str
    asked: str
    stored_at_ns: int
    expected: int
    regular: int
    longest_absence_s: int
    file: str
    file_size: int
    file_mtime_ns: int
    file_hash: str

    @property
    def session(self) -> dt.date:
        """The session's date."""
        return dt.date(1970, 1, 1) + dt.timedelta(days=self.day)


ROW_COLUMNS = ["bars" if field.name == "rows" else field.name for field in fields(SessionRow)]
SERIES_COLUMNS = (
    "id, bar_type, price_precision, size_precision, hours, adjustment, folder_mtime_ns, updated_at_ns, bars, bytes, "
    "first_open_ns, last_close_ns, first_day, strip, bad_files"
)


@dataclass(frozen=True)
class SeriesRow:
    """What the ledger keeps of a series as a whole.

    Attributes:
        id: Key of the row.
        series: The series.
        precision: Decimals of its prices and sizes.
        convention: Hours and adjustment of its bars.
        folder_mtime_ns: Change time of the folder up to which the ledger agrees with it.
        updated_at_ns: When bars were last stored.
        rows: All bars.
        bytes: All bytes.
        first_open_ns: First bar's open, or None.
        last_close_ns: Last bar's close, or None.
        first_day: Day number of `strip[0]`, or None where nothing is stored.
        strip: uint8 of shape (days,): 0 no row, 1 complete, 2 empty, 3 partial.
        bad_files: (name, reason) of files in the folder that cannot be used and were not moved away.
    """

    id: int
    series: Series
    precision: Precision
    convention: Convention
    folder_mtime_ns: int
    updated_at_ns: int
    rows: int
    bytes: int
    first_open_ns: int | None
    last_close_ns: int | None
    first_day: int | None
    strip: np.ndarray[tuple[int], np.dtype[np.uint8]]
    bad_files: tuple[tuple[str, str], ...]


def read_rows[T](make: Callable[[Found], T], found: Sequence[Found]) -> list[T]:
    """Return rows of the database as what they are.

    Raises:
        StorageFailed: If they hold what was never written there: a disk can change a value and leave the database in order.
    """
    try:
        return [make(row) for row in found]
    except _UNREADABLE as error:
        raise StorageFailed(f"The catalog's ledger is damaged, it holds what is never written there ({type(error).__name__}). {MADE_ANEW}") from None


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def day_in(row: Found) -> int:
    """Return the day number that begins a row of a session."""
    if not 0 <= _whole(row[0]) <= _LAST_DAY:
        raise ValueError(row[0])
    return _whole(row[0])


def session_row(row: Found) -> SessionRow:
    """Return a row of `ROW_COLUMNS`."""
    _, coverage, bars, first, last, size, fingerprint, source, asked, stored_at, expected, regular, absence, file, file_size, mtime, file_hash = row
    return SessionRow(
        day_in(row),
        Coverage(coverage),
        _whole(bars),
        None if first is None else _whole(first),
        None if last is None else _whole(last),
        _whole(size),
        _text(fingerprint),
        _text(source),
        _text(asked),
        _whole(stored_at),
        _whole(expected),
        _whole(regular),
        _whole(absence),
        _text(file),
        _whole(file_size),
        _whole(mtime),
        _text(file_hash),
    )


def content(row: Found) -> tuple[int, str, int, str]:
    """Return day number, coverage, number of bars and fingerprint of a session."""
    day, coverage, bars, fingerprint = row
    return _whole(day), Coverage(coverage).value, _whole(bars), _text(fingerprint)


def series_row(row: Found) -> SeriesRow:
    """Return a row of `SERIES_COLUMNS`."""
    number, bar_type, price, size, hours, adjustment, mtime, updated, bars, size_bytes, first, last, first_day, strip, bad_files = row
    if _text(strip).strip("0123") or (first_day is not None and not 0 <= _whole(first_day) <= _LAST_DAY - len(strip)):
        raise ValueError(strip)
    return SeriesRow(
        id=_whole(number),
        series=Series.parse(_text(bar_type)),
        precision=Precision(_whole(price), _whole(size)),
        convention=Convention(_text(hours), _text(adjustment)),
        folder_mtime_ns=_whole(mtime),
        updated_at_ns=_whole(updated),
        rows=_whole(bars),
        bytes=_whole(size_bytes),
        first_open_ns=None if first is None else _whole(first),
        last_close_ns=None if last is None else _whole(last),
        first_day=first_day,
        strip=np.frombuffer(strip.encode(), dtype=np.uint8) - ord("0"),
        bad_files=tuple((name, reason) for name, reason in json.loads(bad_files)),
    )
