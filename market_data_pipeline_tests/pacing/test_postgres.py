"""The same table in a real PostgreSQL."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from market_data_pipeline.domain.errors import ConfigurationError, StorageFailed
from market_data_pipeline.domain.pacing import STRICT, Grant, PacingRules, Wait
from market_data_pipeline.domain.pacing_windows import PacedRequest
from market_data_pipeline.pacing import PacingTable
from market_data_pipeline_tests.pacing.test_processes import Run, check

FEW = replace(STRICT, name="few", small=PacingRules(requests=3))


def request(name: str) -> PacedRequest:
    return PacedRequest(name, "TRADES", name, 60)


def test_leave_wait_refusal_and_budget(postgres_url: str) -> None:
    with PacingTable.open(postgres_url, FEW, "one") as table, PacingTable.open(postgres_url, FEW, "two") as other_account:
        grants = [table.try_acquire(request(name)) for name in "abc"]
        for grant in grants:
            assert isinstance(grant, Grant)
            table.sent(grant)
            table.answered(grant)
        leave = table.try_acquire(request("d"))
        assert isinstance(leave, Wait)
        assert 590 < leave.seconds < 602
        assert isinstance(other_account.try_acquire(request("a")), Grant)
        table.refused()
        budget = table.budget()
        assert (budget.left(), budget.open, budget.waiting, len(budget.users)) == (0, 0, 1, 1)
        assert 590 < budget.next_s < 602
        assert 59 < budget.refused_s <= 60
        assert other_account.budget().refused_s == 0


def test_a_driver_that_is_missing_is_told_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    table = PacingTable.open("postgresql+psycopg://me:secret@127.0.0.1:1/none", FEW)
    with pytest.raises(ConfigurationError, match=r'the driver of the URL is missing .* pip install "psycopg\[binary\]"') as refused:
        table.try_acquire(request("a"))
    assert "secret" not in str(refused.value)


def test_a_password_is_shown_nowhere() -> None:
    with closing(PacingTable.open("postgresql+psycopg://me:secret@127.0.0.1:1/none", FEW)) as table:
        with pytest.raises(StorageFailed, match=r"postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/none") as refused:
            table.try_acquire(request("a"))
        assert "secret" not in str(refused.value)


def test_a_database_clock_that_jumps_ahead_grants_nothing_early(postgres_url: str) -> None:
    """The table's own offset stands in for the jump: the server's clock cannot be set from here."""
    with PacingTable.open(postgres_url, FEW, "jumps") as table:
        for name in "abc":
            grant = table.try_acquire(request(name))
            assert isinstance(grant, Grant)
            table.answered(grant)
        engine = sa.create_engine(postgres_url)
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE pacing_accounts SET offset_ns = offset_ns + 3600000000000 WHERE account = 'jumps'"))
        engine.dispose()
        leave = table.try_acquire(request("d"))
        assert isinstance(leave, Wait)
        assert leave.seconds > 595


def test_several_processes_of_which_one_is_killed_never_break_the_window(postgres_url: str, tmp_path: Path) -> None:
    factor, window_s = 0.002, 1.2
    run = Run(tmp_path, postgres_url, 4, 60, factor, killed_after=90)
    check(run, window_s, factor, 4, 60)
