from __future__ import annotations

import pytest

from market_data_pipeline.sources.ibkr.facts import masked, mode_of
from market_data_pipeline.sources.ibkr.settings import AccountMode


def test_an_account_number_is_never_shown_whole() -> None:
    assert masked("DU1234567") == "•••••••67"
    assert masked("U1") == "U1"


@pytest.mark.parametrize(
    ("accounts", "mode"),
    [
        (["DU1234567"], AccountMode.PAPER),
        (["DF7654321", "du1"], AccountMode.PAPER),
        (["U1234567"], AccountMode.LIVE),
        (["U1234567", "DU1234567"], AccountMode.ANY),
        ([], AccountMode.ANY),
    ],
)
def test_paper_accounts_begin_with_d(accounts: list[str], mode: AccountMode) -> None:
    assert mode_of(accounts) is mode
