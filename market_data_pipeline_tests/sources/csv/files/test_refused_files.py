"""Files that nobody may take as they stand."""

from __future__ import annotations

import json
import re

import pytest

from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.sources.csv.files.__main__ import HERE
from market_data_pipeline_tests.sources.csv.files.conftest import Import
from market_data_pipeline_tests.sources.csv.files.refusal import Refusal
from market_data_pipeline_tests.sources.csv.files.refused import REFUSALS


def assert_refused(refusal: Refusal, import_: Import, run: Mdp | None = None) -> None:
    outcome = import_(HERE / "refused" / refusal.name, refusal.instrument, refusal.spec, *refusal.options, run=run)
    assert outcome.refused, f"{refusal.reason}, but: {outcome.ended.out}"
    assert outcome.bars == ()
    assert not (outcome.root / "data" / "bar").exists()
    told = json.loads(outcome.ended.out)["message"]
    assert "fault of mdp" not in told
    assert refusal.name in told
    for group in refusal.says:
        assert any(piece.lower() in told.lower() for piece in group), f"none of {group} in: {told}"


@pytest.mark.parametrize("name", REFUSALS)
def test_a_file_is_refused_with_what_to_do(name: str, import_: Import) -> None:
    assert_refused(REFUSALS[name], import_)


@pytest.mark.parametrize("name", ["coins-open-or-close.csv", "sheet.csv"])
def test_a_file_is_refused_by_a_process_of_its_own(name: str, import_: Import, launched: Mdp) -> None:
    assert_refused(REFUSALS[name], import_, launched)


@pytest.mark.parametrize("name", ["declared-utc.csv", "declared-close.csv", "an-hour-late.csv", "a-day-late.csv"])
def test_a_user_who_insists_is_obeyed_and_warned(name: str, import_: Import) -> None:
    """The message names the options; they are taken as they stand there."""
    refusal = REFUSALS[name]
    file = HERE / "refused" / name
    told = json.loads(import_(file, refusal.instrument, refusal.spec, *refusal.options).ended.out)["message"]
    words = re.search(r"(?:to insist on the first|If they are right as they are), pass (--layout .*)\.$", told)
    assert words is not None, told
    outcome = import_(file, refusal.instrument, refusal.spec, *re.sub(r" \(or .*?\)", "", words[1]).split())
    assert outcome.ended.code == 0, outcome.ended.err
    assert len(outcome.bars) == file.read_text().count("\n") - 1
    assert outcome.answer["read_as"]["warnings"]
