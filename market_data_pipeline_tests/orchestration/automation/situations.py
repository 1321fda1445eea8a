"""The six situations in which each sensor must do right, as a mark on the tests that try them."""

from __future__ import annotations

from enum import Enum

import pytest


class Situation(Enum):
    """What a sensor may find. The names are the words of the table that `test_situations.py` holds the definitions to."""

    FIRST_TICK = "first tick"
    NOTHING_TO_DO = "nothing to do"
    NEW_WORK = "new work"
    FAULT = "a fault"
    TWICE = "the same event twice"
    RESTART = "a restart in between"


def tries(sensor: str, *situations: Situation) -> pytest.MarkDecorator:
    """Mark a test as the one that tries a sensor in these situations."""
    return pytest.mark.situation.with_args(sensor, *situations)
