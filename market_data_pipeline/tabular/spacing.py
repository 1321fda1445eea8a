"""Does a file, or a table, hold the bars it is said to hold? Told from how far apart its stamps are."""

from __future__ import annotations

import numpy as np

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS, Aggregation, BarSpec
from market_data_pipeline.domain.errors import UsageError

_ENOUGH_ROWS = 5
_ENOUGH_TO_BE_SURE = 30
# Days from one bar to the next: what is usual, with room for weekends, holidays and thin trading.
_USUAL_DAYS = {Aggregation.DAY: (0.5, 5.0), Aggregation.WEEK: (4.0, 20.0), Aggregation.MONTH: (20.0, 100.0)}
_UNITS = (("DAY", DAY_NS), ("HOUR", 3_600 * NANOSECONDS), ("MINUTE", 60 * NANOSECONDS), ("SECOND", NANOSECONDS))


def check_usual_step(name: str, times: Int64s, spec: BarSpec) -> None:
    """Refuse a file whose stamps usually stand closer than its bars are long (or, for days, much further apart).

    Args:
        name: The file, for the message.
        times: int64 nanoseconds of the first rows of the file, in any order.
        spec: What the bars are said to be.

    Raises:
        UsageError: Naming the bars that the file seems to hold.
    """
    times = np.unique(times)
    if len(times) < _ENOUGH_ROWS:
        return
    usual = int(np.median(np.diff(times)))
    if spec.is_daily_or_longer:
        least, most = (int(days * spec.step * DAY_NS) for days in _USUAL_DAYS[spec.aggregation])
        wrong = 0 < usual < least or usual > most
    else:
        wrong = 0 < usual < spec.length_ns
    if wrong:
        raise UsageError(f"{name} holds no {spec} bars: its stamps are usually {_length(usual)} apart. {_advice(usual, spec)}")


def check_common_step(name: str, closes: Int64s, spec: BarSpec) -> None:
    """Refuse bars that all stand on multiples of a longer step: 15-minute bars imported as minutes look like thin trading.

    Args:
        name: A file, for the message.
        closes: int64 nanoseconds, in order.
        spec: What the bars are said to be; only bars shorter than a day are looked at.

    Raises:
        UsageError: Naming the bars that the file seems to hold.
    """
    if spec.is_daily_or_longer or len(closes) < _ENOUGH_TO_BE_SURE:
        return
    step = 0
    for start in range(0, len(closes) - 1, 10_000):
        step = int(np.gcd.reduce(np.diff(closes[start : start + 10_001]), initial=step))
        if step <= spec.length_ns:
            return
    refuse_common_step(name, step, len(closes), spec)


def refuse_common_step(name: str, step: int, rows: int, spec: BarSpec) -> None:
    """Refuse bars whose stamps are all multiples of `step` nanoseconds apart, where that is longer than a bar and there are enough of them.

    Raises:
        UsageError: Naming the bars that the file seems to hold.
    """
    if spec.is_daily_or_longer or rows < _ENOUGH_TO_BE_SURE or step <= spec.length_ns:
        return
    raise UsageError(f"{name} holds no {spec} bars: its {rows:,} stamps are all multiples of {_length(step)} apart. {_advice(step, spec)}")


def _length(nanoseconds: int) -> str:
    name, unit = next(((name, unit) for name, unit in _UNITS if nanoseconds >= unit), ("NANOSECOND", 1))
    count = nanoseconds / unit
    return f"{count:g} {name.lower()}{'' if count == 1 else 's'}"


def _advice(step: int, spec: BarSpec) -> str:
    days = step / DAY_NS
    if days >= 20:
        likely = "1-MONTH"
    elif days >= 4:
        likely = "1-WEEK"
    else:
        name, unit = next(((name, unit) for name, unit in _UNITS if step % unit == 0), ("", 0))
        if not unit or (name == "DAY" and step != DAY_NS):
            return "Pass the length of its bars as --bar."
        likely = f"{step // unit}-{name}"
    return f"If they are what they seem, pass --bar {likely}-{spec.price_type}."
