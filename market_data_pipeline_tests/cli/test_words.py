"""How numbers are written, and where colours go."""

from __future__ import annotations

import io

import pytest

from market_data_pipeline.cli.output import paint
from market_data_pipeline.cli.words import count, duration, iso, listed, size, utc


@pytest.mark.parametrize(("seconds", "words"), [(0.42, "0.4 s"), (59.6, "1 min"), (90, "1 min 30 s"), (5400, "1 h 30 min"), (7200, "2 h")])
def test_durations_are_short(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("number", "words"), [(0, "0 B"), (999, "999 B"), (1_234, "1.2 kB"), (12_345_678, "12.3 MB"), (9_876_543_210, "9.9 GB")])
def test_sizes_have_three_digits_or_so(number: int, words: str) -> None:
    assert size(number) == words


def test_one_is_singular() -> None:
    assert [count(1, "session"), count(1_234, "session"), count(2, "series", "series")] == ["1 session", "1,234 sessions", "2 series"]


def test_long_lists_are_cut() -> None:
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert listed(["a", "b"], 2) == "a, b"


def test_times_keep_their_nanoseconds() -> None:
    assert iso(1_704_465_059_999_999_999) == "2024-01-05T14:30:59.999999999Z"
    assert utc(1_704_465_059_999_999_999) == "2024-01-05 14:30:59 UTC"
    assert iso(None) is None


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert paint("error:", "red", _Terminal()) == "\033[31merror:\033[0m"
    assert paint("error:", "red", io.StringIO()) == "error:"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("error:", "red", _Terminal()) == "error:"
