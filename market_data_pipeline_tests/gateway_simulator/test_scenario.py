"""Scenarios: from a file, in short form, and when they happen."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.gateway_simulator.scenario import Action, Fault, Kind, Scenario, parse_fault

NOW = dt.datetime(2024, 11, 29, 18, tzinfo=dt.UTC)


def happenings(short: str, occasions: int, kind: Kind = Kind.HISTORY) -> list[int]:
    scenario = Scenario([parse_fault(short)])
    return [number for number in range(1, occasions + 1) if scenario.draw(kind, NOW)]


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        ("history:3=silence", [3]),
        ("history:2,5=silence", [2, 5]),
        ("history:3-5=silence", [3, 4, 5]),
        ("history:4n=silence", [4, 8]),
        ("history:*=silence", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("any:2=silence", [2]),
        ("head:1=silence", []),
    ],
)
def test_when_it_happens(short: str, expected: list[int]) -> None:
    assert happenings(short, 9) == expected


def test_at_random_means_the_same_each_time_for_one_seed() -> None:
    first, again = happenings("history:20%=silence", 1_000), happenings("history:20%=silence", 1_000)
    assert first == again
    assert 150 < len(first) < 250


def test_another_seed_is_another_sequence() -> None:
    def drawn(seed: int) -> list[bool]:
        scenario = Scenario.read(None, ["history:50%=silence"], seed)
        return [scenario.draw(Kind.HISTORY, NOW) is not None for _ in range(50)]

    assert drawn(1) != drawn(2)


def test_only_requests_of_the_contract_are_counted() -> None:
    scenario = Scenario([parse_fault("history/AAPL:2=silence")])
    names = ["AAPL", "MSFT", "MSFT", "AAPL", "AAPL"]
    assert [scenario.draw(Kind.HISTORY, NOW, {name}) is not None for name in names] == [False, False, False, True, False]


def test_the_first_fault_that_happens_wins_and_all_are_counted() -> None:
    scenario = Scenario([parse_fault("history:2=silence"), parse_fault("history:2,3=empty")])
    assert [fault and fault.do for fault in (scenario.draw(Kind.HISTORY, NOW) for _ in range(3))] == [None, Action.SILENCE, Action.EMPTY]


def test_at_most_so_often() -> None:
    scenario = Scenario([Fault(kind=Kind.HISTORY, do=Action.SILENCE, times=2)])
    assert [scenario.draw(Kind.HISTORY, NOW) is not None for _ in range(4)] == [True, True, False, False]


def test_what_has_a_time_happens_only_then_and_counts_only_then() -> None:
    """Closed at its beginning, open at its end."""
    hour = dt.timedelta(hours=1)
    scenario = Scenario([Fault(kind=Kind.HISTORY, do=Action.SILENCE, at=2, since=NOW, until=NOW + 2 * hour)])
    moments = [NOW - hour, NOW - hour, NOW, NOW + hour, NOW + 2 * hour]
    assert [scenario.draw(Kind.HISTORY, moment) is not None for moment in moments] == [False, False, False, True, False]
    scenario = Scenario([Fault(kind=Kind.HISTORY, do=Action.SILENCE, since=NOW, until=NOW + 2 * hour)])
    assert [scenario.draw(Kind.HISTORY, moment) is not None for moment in moments] == [False, False, True, True, False]


def test_sessions_can_be_lost() -> None:
    fault = parse_fault("history/NVDA:*=lost:2024-11-29,2024-12-02")
    assert (fault.contract, fault.do, fault.sessions) == ("NVDA", Action.LOST, (dt.date(2024, 11, 29), dt.date(2024, 12, 2)))


def test_any_is_any_request_for_data_and_no_connection() -> None:
    assert happenings("any:1=silence", 1, Kind.CONNECT) == []
    assert happenings("any:1=silence", 1, Kind.CONTRACTS) == [1]


def test_an_argument_is_seconds_or_the_text_of_an_error() -> None:
    assert parse_fault("history:1=slow:1.5").lasts_s == 1.5
    notice = parse_fault("history:1=error-162:Something else").notice
    assert notice is not None
    assert (notice.code, notice.text) == (162, "Something else")


@pytest.mark.parametrize(
    ("short", "message"),
    [
        ("history", "write KIND:WHEN=WHAT"),
        ("history:x=silence", "write KIND:WHEN=WHAT"),
        ("history:0=silence", "greater than or equal to 1"),
        ("history:5-3=silence", "no range"),
        ("history:1=nonsense", "--fault history:1=nonsense: do"),
        ("prices:1=silence", "kind"),
        ("history:1=error", "error needs a code"),
        ("history:1=error-9999", "give text"),
        ("history:1=slow:long", "seconds"),
        ("history:1=lost", "need sessions"),
        ("history:1=revised", "need sessions"),
        ("history:1=split", "split needs a ratio"),
        ("history:1=split:0", "ratio"),
        ("history:1=split:4:monday", "before"),
        ("schedule:1=split:4", "use it on history"),
        ("history:1=closed:2024-05-24", "use it on schedule"),
        ("history:1=lost:friday", "sessions"),
        ("history:1=login-screen", "use it on connect"),
        ("connect:1=disorder", "use it on history"),
        ("connect:1=silence", "on connect there can be"),
        ("contracts:1=disorder", "use it on history"),
        ("account:1=silence", "nothing goes wrong with account"),
    ],
)
def test_what_means_nothing_is_refused_with_the_reason(short: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_fault(short)
    assert message in str(refused.value)
    assert short in str(refused.value)


def test_a_file_says_the_same_at_length(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(
        "seed: 7\n"
        "faults:\n"
        "  - {kind: history, at: 3, do: drop-middle, share: 0.25}\n"
        "  - {kind: history, contract: AAPL, every: 5, do: error, code: 165}\n"
        "  - kind: head\n"
        "    rate: 0.2\n"
        "    do: silence\n"
        "  - {kind: connect, at: [1, 2], do: login-screen}\n"
    )
    scenario = Scenario.read(file, [])
    drawn = [scenario.draw(Kind.HISTORY, NOW, {"MSFT"}) for _ in range(3)]
    assert [fault and (fault.do, fault.share) for fault in drawn] == [None, None, (Action.DROP_MIDDLE, 0.25)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("faults:\n  - {kind: history, do: silence, when: 3}\n", "line 2: faults[0].when: is no key known here"),
        ("faults:\n  - kind: history\n    do: silense\n", "line 3: faults[0].do"),
        ("faults:\n  - {kind: history, at: 3, every: 2, do: silence}\n", "line 2: faults[0]: give one of at, every and rate"),
        ("faults:\n  - {kind: history, rate: 1.5, do: silence}\n", "line 2: faults[0].rate"),
        (
            "faults:\n  - {kind: history, do: silence, sessions: [2024-11-29]}\n",
            "line 2: faults[0]: closed, early-close, lost, opened",
        ),
        ("faults:\n  - {kind: history, do: silence, since: 2024-11-29T18:00}\n", "line 2: faults[0].since"),
        ("faults:\n  - {kind: history, do: silence, since: 2024-11-30T18:00Z, until: 2024-11-29T18:00Z}\n", "since must lie before until"),
        ("faults:\n  - {do: silence}\n", "faults[0].kind: is missing"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        Scenario.read(file, [])
    assert message in str(refused.value)
    assert str(file) in str(refused.value)
