"""A message says `1 row is`, never `1 rows are`."""

from __future__ import annotations

from market_data_pipeline.domain.words import agreeing, count


def test_one_has_no_plural() -> None:
    assert [count(number, "bar") for number in (0, 1, 2, 1_234)] == ["0 bars", "1 bar", "2 bars", "1,234 bars"]
    assert [count(number, "series", "series") for number in (1, 2)] == ["1 series", "2 series"]


def test_the_verb_agrees_with_the_number() -> None:
    assert [agreeing(number, "is", "are") for number in (0, 1, 2)] == ["are", "is", "are"]
