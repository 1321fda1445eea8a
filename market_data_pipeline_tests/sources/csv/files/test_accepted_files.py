"""Each exporter's file, imported as a user does and read back by Nautilus."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml

from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.sources.csv.files.__main__ import HERE, answer
from market_data_pipeline_tests.sources.csv.files.accepted import CASES
from market_data_pipeline_tests.sources.csv.files.case import PRECISION
from market_data_pipeline_tests.sources.csv.files.conftest import Import
from market_data_pipeline_tests.sources.csv.files.market import Bar, Clock, decimal
from market_data_pipeline_tests.sources.csv.files.refused import REFUSALS

ANSWERS: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "answers.yaml").read_text(encoding="utf-8"))
ACCEPTED = HERE / "accepted"
# The list of exporters.
LEAST = 25
# 2024-03-10, 02:00 New York.
CLOCKS_CHANGE = int(dt.datetime(2024, 3, 10, 7, tzinfo=dt.UTC).timestamp())


def test_the_files_and_answers_are_what_the_script_writes() -> None:
    assert {path.name: path.read_bytes() for path in ACCEPTED.iterdir()} == {name: case.written() for name, case in CASES.items()}
    assert {path.name: path.read_bytes() for path in (HERE / "refused").iterdir()} == {name: one.content for name, one in REFUSALS.items()}
    assert {name: answer(case) for name, case in CASES.items()} == ANSWERS
    assert min(len(CASES), len(REFUSALS)) >= LEAST


def as_read(bar: Bar, instrument: str) -> str:
    prices, sizes = PRECISION[instrument]
    values = (*(decimal(value, prices) for value in bar[1:5]), decimal(bar.volume, sizes))
    return f"{dt.datetime.fromtimestamp(bar.opened, dt.UTC):%Y-%m-%d %H:%M} {' '.join(values)}"


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_taken_bar_by_bar(name: str, import_: Import) -> None:
    known, case = ANSWERS[name], CASES[name]
    outcome = import_(ACCEPTED / name, known["instrument"], known["bar"], *known["options"].split())
    assert outcome.ended.code == 0, outcome.ended.err or outcome.ended.out
    assert len(outcome.bars) == known["bars"]
    assert [as_read(outcome.bars[i], known["instrument"]) for i in (0, len(outcome.bars) // 2, -1)] == known["some"]
    assert outcome.bars == tuple(case.bars)
    read_as = outcome.answer["read_as"]
    assert known["layout"] in (read_as["layout"], "any")
    assert known["stamp"] in (read_as["stamp"], "date")
    assert read_as["evidence"]


def parts(name: str) -> list[bytes]:
    """Return a file's rows before and after the change of New York's clocks, as two files."""
    case = CASES[name]
    rows = case.rows()
    cut = next(i for i, bar in enumerate(case.bars) if bar.opened >= CLOCKS_CHANGE)
    return [case.written(rows[:cut]), case.written(rows[cut:])]


@pytest.mark.parametrize("name", ["firstrate.txt", "histdata-ascii.csv", "finam.csv"])
def test_files_that_show_their_zone_only_together_are_read_as_one(name: str, import_: Import, tmp_path: Path) -> None:
    case = CASES[name]
    first, second = parts(name)
    (tmp_path / "second.csv").write_bytes(second)
    outcome = import_(first, case.instrument, case.spec, str(tmp_path / "second.csv"), *case.options)
    assert outcome.ended.code == 0, outcome.ended.err
    assert outcome.bars == tuple(case.bars)


def test_two_files_of_one_series_with_two_clocks_are_refused(import_: Import, tmp_path: Path) -> None:
    """The days before the change as New York shows them, those after it in UTC."""
    case = CASES["firstrate.txt"]
    rows = case.rows(), case.rows(Clock("UTC"))
    cut = next(i for i, bar in enumerate(case.bars) if bar.opened >= CLOCKS_CHANGE)
    (tmp_path / "second.csv").write_bytes(case.written(rows[1][cut:]))
    outcome = import_(case.written(rows[0][:cut]), case.instrument, case.spec, str(tmp_path / "second.csv"))
    assert outcome.refused
    assert outcome.bars == ()


@pytest.mark.parametrize("name", ["histdata-ascii.csv", "nasdaq.csv", "alpaca-symbols.csv"])
def test_a_file_is_taken_by_a_process_of_its_own(name: str, import_: Import, launched: Mdp) -> None:
    case = CASES[name]
    outcome = import_(Path(ACCEPTED / name), case.instrument, case.spec, *case.options, run=launched)
    assert outcome.ended.code == 0, outcome.ended.err
    assert outcome.bars == tuple(case.bars)
