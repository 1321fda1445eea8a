"""How a file writes its times, told by all stamps of a sample together: which number is the day, and which the month."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, Aggregation
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.sources.csv.recognition import Question
from market_data_pipeline.sources.csv.time_forms import AUTO, form_of, forms_that_may_be
from market_data_pipeline.sources.csv.times import parse_times

_MOST_FAULTS = 0.5
_MIXED = re.compile("%[mdb].*%[Yy]|%y.*%d")
_DAY_AND_MONTH = re.compile(r"(%[md]|MM|DD)(\W)(%[md]|MM|DD)")
_EXAMPLES = 50
# Days of trading stand a day apart, or a weekend with a holiday.
_DAYS_APART = 5
_DAYS_TO_TELL = 3


def told_form(declared: str, times: pa.Array, partitions: Partitions, name: str) -> tuple[str, str | None, Question | None]:
    """Return the form's name, what tells it (None where it is plain), and the question if nothing does.

    Args:
        declared: What layout or user say; an exporter's form counts only if the file is written in it.
        times: The stamps as text.
        partitions: The series' partitions, whose calendar tells days without trading.
        name: The file's name, for messages.
    """
    texts = pc.unique(times)
    filled = [str(text) for text in texts[:_EXAMPLES].to_pylist() if str(text).strip()]
    if not filled or (declared not in (AUTO, "iso") and _reads(declared, texts, filled[0]) > 1 - _MOST_FAULTS):
        return declared, None, None if not filled else _doubt(declared, texts, partitions)
    candidates = list(dict.fromkeys(form for example in filled[:_EXAMPLES] for form in forms_that_may_be(example)))
    shares = {form: _reads(form, texts, filled[0]) for form in candidates}
    best = max(shares.values(), default=0.0)
    plain = [form for form in candidates if shares[form] == best and not _MIXED.search(form)]
    if len(plain) == 1 and best > 0:
        return plain[0], None, None  # the year stands first, or seconds are counted: rows in another form are bad rows
    if best <= 1 - _MOST_FAULTS:
        return declared, None, _question(filled[0], ())
    whole = [form for form, share in shares.items() if share == best]
    if len(whole) == 1:
        rivals = [form for form in candidates if form != whole[0] and _same_but_order(form, whole[0])]
        if not rivals:
            return whole[0], None, None
        # A column that holds both orders reads wholly under neither.
        if best < 1 and any(shares[form] > 1 - _MOST_FAULTS for form in rivals):
            return declared, None, _question(filled[0], tuple(candidates), "some rows fit only one order of day and month, and some only the other")
        against = next(text for text in _failing(rivals[0], texts))
        return whole[0], f"times are written {_letters(whole[0])}: {against!r} fits no other order of day and month", None
    days = {form: _days(form, texts) for form in whole}
    if len({found.tobytes() for found in days.values()}) == 1:
        return whole[0], None, None
    return _by_calendar(days, partitions, filled[0], declared)


def _by_calendar(days: dict[str, Int64s], partitions: Partitions, example: str, declared: str) -> tuple[str, str | None, Question | None]:
    """Tell the order of day and month by days without trading and by how far apart days stand."""
    sessions = partitions.calendar.days
    left = {}
    for form, found in days.items():
        # Evening hours belong to the next day's session, and Sunday evening to Monday's.
        shut = ~(np.isin(found, sessions) | np.isin(found + 1, sessions))
        if shut.mean() <= 0.02 and _apart(found) <= _DAYS_APART:
            left[form] = found
    if len(left) == 1 and all(len(found) >= _DAYS_TO_TELL for found in days.values()):
        form = next(iter(left))
        return form, f"times are written {_letters(form)}: read otherwise, days lie weeks apart or on days without trading", None
    return declared, None, _question(example, tuple(days))


def _doubt(declared: str, texts: pa.Array, partitions: Partitions) -> Question | None:
    """Return a question where an exporter's order of day and month makes days stand weeks apart, and the other order does not."""
    other = _DAY_AND_MONTH.sub(r"\3\2\1", declared, count=1)
    if other == declared or partitions.spec.aggregation in (Aggregation.WEEK, Aggregation.MONTH) or _reads(other, texts, "") < 1:
        return None
    days, turned = _days(declared, texts), _days(other, texts)
    if len(days) < _DAYS_TO_TELL or len(turned) < _DAYS_TO_TELL or _apart(days) <= _DAYS_APART or _apart(turned) > _DAYS_APART:
        return None
    why = f"read {_letters(declared)}, as its exporter writes, its days stand {_apart(days):.0f} days apart"
    return _question(str(texts[0]), (declared, other), why)


def _apart(days: Int64s) -> float:
    return float(np.median(np.diff(days))) if len(days) > 1 else 0.0


def _question(example: str, forms: tuple[str, ...], why: str = "") -> Question:
    named = tuple(_letters(form) for form in forms)
    choices = f"{' or '.join(repr(form) for form in named[:4])}" if named else "'DD/MM/YYYY HH:MM'"
    because = f" ({why})" if why else ""
    say = f"Say how times are written: --time-form (or time_form in --layout FILE.yaml), for example {choices}"
    text = f"the time {example!r} can be read in more than one way, or in none{because}. {say}"
    return Question("--time-form", text, named)


def _reads(form: str, texts: pa.Array, example: str) -> float:
    """Return which share of distinct stamps a form reads."""
    found = form_of(form, example)
    if found is None or not len(texts):
        return 0.0
    return float((parse_times(texts, found).faults == 0).mean())


def _failing(form: str, texts: pa.Array) -> list[str]:
    found = form_of(form, "")
    assert found is not None  # forms of day and month are patterns
    return [str(texts[int(i)]) for i in np.flatnonzero(parse_times(texts, found).faults)[:1]]


def _days(form: str, texts: pa.Array) -> Int64s:
    found = form_of(form, str(texts[0]))
    assert found is not None  # it read all of them
    stamps = parse_times(texts, found)
    return np.unique(stamps.wall_ns[stamps.faults == 0] // DAY_NS)


def _same_but_order(one: str, other: str) -> bool:
    return sorted(one) == sorted(other)


def _letters(form: str) -> str:
    """Return a pattern of percent codes in the letters that people write, where there are such."""
    for code, letters in (("%Y", "YYYY"), ("%y", "YY"), ("%m", "MM"), ("%d", "DD"), ("%H", "HH"), ("%M", "MM"), ("%S", "SS")):
        form = form.replace(code, letters)
    return form
