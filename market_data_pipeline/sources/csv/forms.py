"""How a file writes its times, told by all stamps of a sample together: which number is the day, and which the month."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.sources.csv.recognition import Question
from market_data_pipeline.sources.csv.time_forms import AUTO, form_of, forms_that_may_be
from market_data_pipeline.sources.csv.times import parse_times

_MOST_FAULTS = 0.5
_MIXED = re.compile("%[mdb].*%[Yy]|%y.*%d")
_EXAMPLES = 50


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
        return declared, None, None
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
        apart = float(np.median(np.diff(found))) if len(found) > 1 else 0.0
        if shut.mean() <= 0.02 and apart <= 5:
            left[form] = found
    if len(left) == 1 and all(len(found) >= 3 for found in days.values()):
        form = next(iter(left))
        return form, f"times are written {_letters(form)}: read otherwise, days lie weeks apart or on days without trading", None
    return declared, None, _question(example, tuple(days))


def _question(example: str, forms: tuple[str, ...], why: str = "") -> Question:
    named = tuple(_letters(form) for form in forms)
    choices = f"{' or '.join(repr(form) for form in named[:4])}" if named else "'DD/MM/YYYY HH:MM'"
    because = f" ({why})" if why else ""
    text = f"the time {example!r} can be read in more than one way, or in none{because}. Say how times are written: --time-form (or time_form of a layout), for example {choices}"
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
