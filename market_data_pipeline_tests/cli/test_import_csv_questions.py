"""What `mdp import-csv` asks a person: what to do about other bars that are stored, and what a file does not tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import stored_sessions, write_csv
from market_data_pipeline_tests.cli.terminal import Terminal
from market_data_pipeline_tests.cli.week import WEEK, arguments, undeclared

pytestmark = pytest.mark.usefixtures("aapl_yaml")
CTRL_C, CTRL_D = b"\x03", b"\x04"
SitAt = Callable[[Sequence[str | Path]], Terminal]


@pytest.fixture
def sit_at() -> Iterator[SitAt]:
    """Start commands on terminals."""
    with ExitStack() as stack:

        def start(arguments: Sequence[str | Path]) -> Terminal:
            terminal = Terminal(arguments)
            stack.callback(terminal.leave)
            return terminal

        yield start


@pytest.fixture
def overlap(mdp: Mdp, root: Path) -> Path:
    """A file that has other values than the catalog for the first two days of the week, and a third day."""
    mdp(*arguments(write_csv(Path("first.csv"), WEEK[:2]), root))
    return write_csv(Path("second.csv"), WEEK[:3], price="190.00")


def test_a_conflict_with_nobody_to_ask_is_a_question_unanswered(mdp: Mdp, root: Path, overlap: Path) -> None:
    ended = mdp(*arguments(overlap, root, "--json"))
    assert (ended.code, ended.json["error"]) == (3, "QuestionUnanswered")
    assert "--on-conflict skip" in ended.err
    assert stored_sessions(root) == WEEK[:2]


@pytest.mark.parametrize(
    ("choice", "counts"),
    [
        (["skip"], {"stored": 1, "skipped": 2}),
        (["overwrite"], {"stored": 1, "replaced": 2}),
        (["merge", "--prefer", "file"], {"stored": 1, "merged": 2}),
    ],
)
def test_a_conflict_can_be_decided_beforehand(mdp: Mdp, root: Path, overlap: Path, choice: list[str], counts: dict[str, int]) -> None:
    ended = mdp(*arguments(overlap, root, "--json", "--on-conflict", *choice))
    assert {name: number for name, number in ended.json["sessions"].items() if number} == counts


@pytest.mark.parametrize(("choice", "message"), [("fail", "Choose --on-conflict"), ("merge", "Choose --prefer stored or --prefer file")])
def test_a_conflict_can_stop_the_import(mdp: Mdp, root: Path, overlap: Path, choice: str, message: str) -> None:
    ended = mdp(*arguments(overlap, root, "--on-conflict", choice))
    assert ended.code == 1
    assert message in ended.err
    assert stored_sessions(root) == WEEK[:2]


def test_a_person_at_the_terminal_is_asked(sit_at: SitAt, root: Path, overlap: Path) -> None:
    terminal = sit_at(arguments(overlap, root))
    shown = terminal.read_until("What shall be done with them?")
    assert "2 sessions of the file are stored with other bars:" in shown
    assert "2024-02-05: 390 bars stored, 390 in the file; 390 that both have differ in value" in shown
    assert "not here: values differ" in shown
    terminal.type("merge")  # not offered: asked again
    terminal.type("o")
    assert terminal.end() == 0
    assert "3 sessions (2024-02-05 to 2024-02-07): 1 stored, 2 replaced" in terminal.shown
    assert "Reading and checking" in terminal.shown
    assert stored_sessions(root) == WEEK[:3]


def test_an_answer_that_does_not_come_changes_nothing(sit_at: SitAt, root: Path, overlap: Path) -> None:
    terminal = sit_at(arguments(overlap, root))
    terminal.read_until("What shall be done with them?")
    terminal.press(CTRL_D)
    assert terminal.end() == 3
    assert "No answer was given; nothing was written." in terminal.shown
    assert stored_sessions(root) == WEEK[:2]


def test_ctrl_c_at_the_question_changes_nothing(sit_at: SitAt, root: Path, overlap: Path) -> None:
    terminal = sit_at(arguments(overlap, root))
    terminal.read_until("What shall be done with them?")
    terminal.press(CTRL_C)
    assert terminal.end() == 130
    assert "Stopped. No session was stored." in terminal.shown
    assert stored_sessions(root) == WEEK[:2]


def test_a_person_at_the_terminal_is_asked_for_what_the_file_does_not_tell(root: Path, sit_at: SitAt) -> None:
    terminal = sit_at(undeclared(write_csv(Path("aapl.csv"), WEEK[:1]), root, "--instrument", "AAPL.NASDAQ"))
    terminal.read_until("the value of --timezone]")
    terminal.type("America/New_York")
    terminal.read_until("the value of --stamp]")
    terminal.type("1")
    assert terminal.end() == 0
    assert "1 session stored" in terminal.shown
    assert stored_sessions(root) == WEEK[:1]
