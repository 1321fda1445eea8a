"""No mutant of a file is ever taken wrongly: see `mutants` for what wrong means, and for what nobody could see."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from market_data_pipeline_tests.sources.csv.files.accepted import CASES
from market_data_pipeline_tests.sources.csv.files.case import Case
from market_data_pipeline_tests.sources.csv.files.conftest import Import
from market_data_pipeline_tests.sources.csv.files.market import DAY
from market_data_pipeline_tests.sources.csv.files.mutants import Mutant, clocks, is_unseen, mutants

IN_CI = 40


def judge(case: Case, mutant: Mutant, import_: Import) -> str | None:
    """Import a mutant; return what is wrong with the outcome, or None."""
    outcome = import_(mutant.content, case.instrument, case.spec, *mutant.options, name=case.name)
    if "fault of mdp" in outcome.ended.err:
        return f"{case.name}, {mutant.kind}: {outcome.ended.err}"
    if outcome.refused:
        return f"{case.name}, {mutant.kind}: refused, and bars were stored" if outcome.bars else None
    if outcome.bars == tuple(case.bars) or is_unseen(case, mutant.kind):
        return None
    strange = set(outcome.bars) - set(case.bars)
    return f"{case.name}, {mutant.kind} {' '.join(mutant.options)}: {len(outcome.bars)} bars for {len(case.bars)}, {len(strange)} never were"


def assert_none(wrong: list[str]) -> None:
    assert not wrong, "\n".join(wrong)


def test_a_sample_of_mutants_is_refused_or_taken_rightly(import_: Import) -> None:
    everything = [(case, mutant) for case in CASES.values() for mutant in mutants(case)]
    picked = random.Random(2024).sample(everything, IN_CI)
    assert_none([wrong for case, mutant in picked if (wrong := judge(case, mutant, import_))])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_mutant_is_refused_or_taken_rightly(name: str, import_: Import) -> None:
    case = CASES[name]
    assert_none([wrong for mutant in mutants(case) if (wrong := judge(case, mutant, import_))])


def days_of(case: Case, first: int, count: int) -> Case:
    """Return a file of some of a case's days."""
    dates = sorted({bar.opened // DAY for bar in case.bars})[first : first + count]
    return replace(case, bars=[bar for bar in case.bars if bar.opened // DAY in dates], extra=lambda _: {})


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_file_of_few_days_is_refused_or_taken_rightly_whatever_its_clock(count: int, import_: Import) -> None:
    """Nothing is said about these, and no exporter is known to write one zone only: the days alone have to tell."""
    wrong = []
    for name in ("firstrate.txt", "firstrate-header.csv.gz"):
        for first in (0, 2):
            part = days_of(CASES[name], first, count)
            same = Mutant("none", part.written(), ())
            wrong += [judge(part, mutant, import_) for mutant in (same, *clocks(part))]
    assert_none([one for one in wrong if one])


def test_the_mutants_of_a_file_differ_from_it() -> None:
    for case in CASES.values():
        made = list(mutants(case))
        assert len({mutant.kind for mutant in made}) == len(made)
        assert len(made) >= (8 if case.daily else 20), case.name
