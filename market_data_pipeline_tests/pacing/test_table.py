from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from market_data_pipeline.domain.errors import ConfigurationError, StorageFailed
from market_data_pipeline.domain.pacing import STRICT, Grant, PacingProfile, Wait
from market_data_pipeline.pacing import PacingTable, default_place
from market_data_pipeline.pacing.database import SqliteDatabase
from market_data_pipeline_tests.pacing.set_clock import FEW, SetClock, made, request, wait_s


def test_leave_is_given_until_the_window_is_full_and_again_when_it_moves_on(table: PacingTable, clock: SetClock) -> None:
    for name in "abc":
        made(table, name)
        clock.seconds += 10
    leave = table.try_acquire(request())
    assert isinstance(leave, Wait)
    assert leave.seconds == pytest.approx(601.2 - 30)
    assert re.fullmatch(r"3 of 3 requests of the last 10 minutes are used; the next may go at \d\d:\d\d:\d\d \S+", leave.reason)  # zone named
    clock.seconds += leave.seconds
    assert isinstance(table.try_acquire(request()), Grant)
    assert wait_s(table) == pytest.approx(10, abs=1e-6)


def test_two_accounts_share_a_file_and_nothing_else(table: PacingTable, place: Path, clock: SetClock) -> None:
    for name in "abc":
        made(table, name)
    with PacingTable(SqliteDatabase(place, clock), FEW, "other") as other:
        assert wait_s(other) == 0
    assert wait_s(table) > 0


def test_a_withdrawn_request_gives_its_place_back_and_one_that_was_sent_does_not(table: PacingTable) -> None:
    made(table, "a")
    made(table, "b")
    never_sent = table.try_acquire(request("c"))
    assert isinstance(never_sent, Grant)
    assert wait_s(table) > 0
    table.withdraw(never_sent)
    sent = table.try_acquire(request("d"))
    assert isinstance(sent, Grant)
    table.sent(sent)
    table.withdraw(sent)
    assert wait_s(table) > 0
    assert table.budget().open == 0


def test_a_request_counts_from_when_it_was_sent_not_from_when_it_was_granted(table: PacingTable, clock: SetClock) -> None:
    late = table.try_acquire(request("late"))
    assert isinstance(late, Grant)
    made(table, "b")
    made(table, "c")
    clock.seconds += 300
    table.sent(late)
    clock.seconds += 602 - 300
    made(table, "d")
    made(table, "e")
    assert wait_s(table) == pytest.approx(601.2 + 12 - 302), "nothing came back yet: it may have been 12 s on its way"
    table.answered(late)
    assert wait_s(table) == pytest.approx(601.2 + 12 - 302)


def test_saying_twice_that_a_request_is_over_changes_nothing(table: PacingTable, clock: SetClock) -> None:
    grants = [made(table, name) for name in "abc"]
    before = wait_s(table)
    clock.seconds += 100
    for grant in grants:
        table.answered(grant)
        table.release(grant)
    assert wait_s(table) == pytest.approx(before - 100)


def test_a_refusal_closes_the_gate_for_all_for_a_minute_at_least(table: PacingTable, place: Path, clock: SetClock) -> None:
    with PacingTable(SqliteDatabase(place, clock), FEW) as other:
        table.refused(5)
        assert wait_s(other) == 60
        leave = other.try_acquire(request())
        assert isinstance(leave, Wait)
        assert leave.reason.startswith("the broker refused a request as too fast; the next may go at ")
        other.refused(300)
        table.refused()
        assert (wait_s(table), table.budget().refused_s, table.budget().next_s) == (300, 300, 300)
        clock.seconds += 300
        assert wait_s(other) == 0


def test_a_clock_that_is_set_back_or_restarted_neither_grants_early_nor_stalls(table: PacingTable, clock: SetClock) -> None:
    for name in "abc":
        made(table, name)
    clock.seconds += 200
    assert wait_s(table) == pytest.approx(401.2)
    clock.seconds -= 900
    assert wait_s(table) == pytest.approx(401.2)
    clock.seconds += 100
    assert wait_s(table) == pytest.approx(301.2)
    clock.boot, clock.seconds = "second boot", 50_000
    assert wait_s(table) == pytest.approx(301.2)
    clock.seconds += 302
    assert wait_s(table) == 0


def test_those_who_wait_go_in_their_order(table: PacingTable, clock: SetClock) -> None:
    for name in "abc":
        made(table, name)
        clock.seconds += 1
    told = {name: table.try_acquire(request(name)) for name in ("first", "second", "third")}
    seconds = [leave.seconds for leave in told.values() if isinstance(leave, Wait)]
    assert seconds == [pytest.approx(598.2), pytest.approx(599.2), pytest.approx(600.2)]
    clock.seconds += 598.2
    assert isinstance(table.try_acquire(request("newcomer")), Wait)
    assert isinstance(table.try_acquire(request("second")), Wait)
    assert isinstance(table.try_acquire(request("first")), Grant)


def test_one_who_does_not_come_back_loses_his_place_after_a_second(table: PacingTable, clock: SetClock) -> None:
    for name in "abc":
        made(table, name)
    assert isinstance(table.try_acquire(request("gone")), Wait)
    clock.seconds += 601.2
    made(table, "d")
    made(table, "e")
    assert wait_s(table) > 0
    clock.seconds += 1.1
    assert wait_s(table) == 0


def test_one_who_gives_up_loses_it_at_once(table: PacingTable, clock: SetClock) -> None:
    for name in "abc":
        made(table, name)
    table.try_acquire(request("gone"))
    assert table.budget().waiting == 1
    table.give_up(request("gone"))
    clock.seconds += 601.2
    for name in "def":
        made(table, name)


def test_the_budget_says_what_is_left_and_who_used_it(table: PacingTable, place: Path) -> None:
    made(table, "a")
    still_open = table.try_acquire(request("b"))
    assert isinstance(still_open, Grant)
    budget = table.budget()
    assert (budget.account, budget.profile, budget.place) == ("default", "few", str(place))
    assert (budget.left(), budget.open, budget.open_limit, budget.waiting, budget.next_s) == (1, 1, 48, 0, 0)
    assert [(use.what, use.used, use.limit) for use in budget.uses] == [("requests", 2, 3), ("messages", 2, 20), ("symbol searches", 0, 1)]
    assert [(user.pid, user.requests, user.open, user.alive) for user in budget.users] == [(os.getpid(), 2, 1, True)]
    made(table, "c")
    assert table.budget().next_s == pytest.approx(601.2)


def test_a_request_that_nobody_ends_is_taken_as_over_after_ten_minutes(place: Path, clock: SetClock) -> None:
    one_open = replace(STRICT, open=1)
    with PacingTable(SqliteDatabase(place, clock), one_open) as table:
        table.try_acquire(request("forgotten"))
        clock.seconds += 599
        assert wait_s(table) > 0
        clock.seconds += 2
        assert wait_s(table) == 0


def test_rows_that_count_no_more_are_pruned(place: Path, clock: SetClock) -> None:
    with PacingTable(SqliteDatabase(place, clock), STRICT) as table:
        for number in range(200):
            made(table, f"{number}")
            clock.seconds += 60
    with closing(sqlite3.connect(place)) as connection:
        rows = connection.execute("SELECT count(*) FROM pacing_requests").fetchone()[0]
    assert 60 <= rows < 130, "an hour of them, and what came since it was last looked at"


def test_acquire_waits_and_tells_why(tmp_path: Path) -> None:
    quick = replace(FEW.scaled(0.0005), delay_share=0.0)
    heard: list[Wait] = []
    with PacingTable.open(tmp_path / "pacing.sqlite", quick) as table:
        started = time.monotonic()
        for name in "abcd":
            grant = table.acquire(request(name), on_wait=heard.append)
            assert grant is not None
            table.answered(grant)
        assert 0.3 <= time.monotonic() - started < 2
    assert "requests of the last 0.3 seconds are used" in heard[0].reason


def test_waiting_is_cancelled_at_once_and_leaves_the_queue(table: PacingTable) -> None:
    for name in "abc":
        made(table, name)
    cancelled = threading.Event()
    threading.Timer(0.1, cancelled.set).start()
    started = time.monotonic()
    assert table.acquire(request(), cancelled) is None
    assert time.monotonic() - started < 2
    assert table.budget().waiting == 0


def test_threads_of_one_process_share_a_table(tmp_path: Path) -> None:
    quick = replace(FEW.scaled(0.0005), delay_share=0.0)
    moments: list[float] = []
    with PacingTable.open(tmp_path / "pacing.sqlite", quick) as table:

        def ask(name: str) -> None:
            for number in range(3):
                grant = table.acquire(request(f"{name}{number}"))
                assert grant is not None
                moments.append(time.monotonic())
                table.answered(grant)

        threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    moments.sort()
    assert len(moments) == 12
    assert all(later - earlier >= 0.3 for earlier, later in zip(moments, moments[3:], strict=False))


def test_a_file_that_was_removed_is_made_anew_for_all(place: Path) -> None:
    with PacingTable.open(place, FEW) as table, PacingTable.open(place, FEW) as other:
        made(table, "a")
        made(other, "b")
        for file in place.parent.iterdir():
            file.unlink()
        made(table, "c")
        assert other.budget().left() == 2


def test_a_file_that_is_no_table_is_named(place: Path) -> None:
    place.parent.mkdir()
    place.write_bytes(b"no database at all " * 100)
    with pytest.raises(StorageFailed, match=r"pacing\.sqlite is no pacing table: .*Move it away"):
        PacingTable.open(place, FEW).try_acquire(request())


def test_a_place_that_cannot_be_written_is_named_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match="IB_PACING_DB"):
        PacingTable.open(tmp_path / "file" / "pacing.sqlite", FEW).try_acquire(request())
    with pytest.raises(StorageFailed, match="IB_PACING_DB"):
        PacingTable.open(tmp_path, FEW).try_acquire(request())


def test_a_table_of_another_release_is_refused(place: Path) -> None:
    with PacingTable.open(place, FEW) as table:
        made(table, "a")
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("UPDATE pacing_version SET version = 99")
    with pytest.raises(StorageFailed, match="schema version 99"):
        PacingTable.open(place, FEW).try_acquire(request())


def test_all_processes_of_a_user_share_a_file_in_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_place() == tmp_path / "nautilus-market-data-pipeline" / "pacing.sqlite"
    made(PacingTable.open(None, FEW), "a")
    assert default_place().exists()
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_place() == tmp_path / "home" / ".local" / "state" / "nautilus-market-data-pipeline" / "pacing.sqlite"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://user@host/database", "IB_PACING_DB"),
        ("nonsense://host", "IB_PACING_DB: the URL cannot be used"),
    ],
)
def test_a_url_that_cannot_keep_the_table_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        PacingTable.open(url, FEW).try_acquire(request())


def test_a_path_may_be_written_as_text_or_as_a_url_of_sqlite(tmp_path: Path) -> None:
    for place in (str(tmp_path / "a.sqlite"), f"sqlite:///{tmp_path}/b.sqlite"):
        with PacingTable.open(place, FEW) as table:
            made(table, "a")
    assert sorted(file.name for file in tmp_path.glob("*.sqlite")) == ["a.sqlite", "b.sqlite"]


def test_places_are_given_one_after_another_to_many_who_wait(tmp_path: Path) -> None:
    """No two are told the same moment, so nobody wakes for nothing."""
    profile: PacingProfile = STRICT
    clock = SetClock()
    with PacingTable(SqliteDatabase(tmp_path / "pacing.sqlite", clock), profile) as table:
        for number in range(60):
            made(table, f"{number}")
            clock.seconds += 1
        told = [table.try_acquire(request(f"w{number}")) for number in range(60)]
    seconds = [leave.seconds for leave in told if isinstance(leave, Wait)]
    assert [later - earlier for earlier, later in pairwise(seconds)] == [pytest.approx(1)] * 59
