"""`mdp load --derive`: nobody is asked, so no gateway runs here. The week of 2024-01-02 has four sessions of 390 minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import AAPL, minutes, store, store_whole, stored_sessions

DATES = ("2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05")
FIVE = Series.of(AAPL, "5-MINUTE-LAST")
_WATCHLIST = """
universes:
  stocks:
    calendar: NYSE
    start: 2024-01-02
    bars: ["1-MINUTE-LAST", "5-MINUTE-LAST from 1-MINUTE-LAST"]
    instruments: ["AAPL.NASDAQ"]
    source: ibkr
"""


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("MDP_CATALOG", str(tmp_path / "catalog"))
    monkeypatch.setenv("IB_PORT", "1")  # nobody listens there
    return tmp_path / "catalog"


def test_a_week_is_derived_told_and_not_derived_again(mdp: Mdp, root: Path) -> None:
    store_whole(root, DATES)
    first = mdp("load", AAPL, FIVE.spec, "--derive", "--from", "1-MINUTE-LAST")
    assert first.code == 0, first.err
    assert "AAPL.NASDAQ 5-MINUTE-LAST: derived from 1-MINUTE-LAST, all hours, 2024-01-02 to 2024-01-05 (4 sessions), all stored" in first.out
    assert "segments_fetched 4, requests_made 0, fetched_bars 312, failed_segments 0" in first.out
    assert "4 sessions to derive from 1-MINUTE-LAST, at most about 312 bars, no request" in first.err
    assert stored_sessions(root, FIVE) == [*DATES]
    again = mdp("load", AAPL, FIVE.spec, "--derive")
    assert "all stored before" in again.out
    assert "cached_before 4" in again.out


def test_the_first_bar_is_the_first_five_minutes(mdp: Mdp, root: Path) -> None:
    """Minutes open at 185.00, 185.01 …, reach two cents above and below, close one above, and trade 100 shares."""
    store_whole(root, DATES[:1])
    mdp("load", AAPL, FIVE.spec, "--derive")
    catalog = Catalog.open(root)
    bars = catalog.read_session(FIVE, catalog.sessions(FIVE)[0].session)
    catalog.ledger.close()
    assert [int(bars.column(name)[0]) for name in ("open", "high", "low", "close", "volume")] == [18_500, 18_506, 18_498, 18_505, 500]


def test_a_dry_run_stores_nothing(mdp: Mdp, root: Path) -> None:
    store_whole(root, DATES)
    told = mdp("load", AAPL, FIVE.spec, "--derive", "--dry-run")
    assert told.code == 0
    assert "Dry run, nothing was stored" in told.out
    assert "4 sessions to derive" in told.out
    assert stored_sessions(root, FIVE) == []


def test_where_the_watchlist_derives_them_no_option_is_needed_and_nobody_is_asked(mdp: Mdp, root: Path, tmp_path: Path) -> None:
    store_whole(root, DATES)
    (tmp_path / "watchlist.yaml").write_text(_WATCHLIST)
    ended = mdp("load", AAPL, FIVE.spec, "--config", tmp_path / "watchlist.yaml")
    assert (ended.code, "requests_made 0, fetched_bars 312" in ended.out) == (0, True)
    mixed = mdp("load", AAPL, "MSFT.NASDAQ", FIVE.spec, "--config", tmp_path / "watchlist.yaml")
    assert mixed.code == 2
    assert "derives 5-MINUTE-LAST of AAPL.NASDAQ, and not of MSFT.NASDAQ" in mixed.err


def test_a_session_in_part_is_named_with_the_command_that_completes_it(mdp: Mdp, root: Path) -> None:
    store(root, [("2024-01-02", minutes("2024-01-02"), Coverage.COMPLETE), ("2024-01-03", minutes("2024-01-03", count=90), Coverage.PARTIAL)])
    ended = mdp("load", AAPL, FIVE.spec, "--derive", "--json")
    assert ended.code == 1
    (series,) = ended.json["series"]
    assert (series["segments_fetched"], series["requests_made"], series["derived_from"]) == (1, 0, "AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
    assert series["failed_segments"] == [
        {
            "session": "2024-01-03",
            "reason": "its 1-MINUTE-LAST session is partial; load that first: mdp import-csv FILE --instrument AAPL.NASDAQ --bar 1-MINUTE-LAST",
        }
    ]


def test_check_and_verify_name_what_is_stale_and_the_command_that_mends_it(mdp: Mdp, root: Path) -> None:
    store_whole(root, DATES)
    mdp("load", AAPL, FIVE.spec, "--derive")
    store(root, [("2024-01-03", minutes("2024-01-03", price=19_000), Coverage.COMPLETE)])
    told = mdp("check", AAPL, "--bar", FIVE.spec)
    assert "1 stale session" in told.out
    assert "2024-01-03, derived from 1-MINUTE-LAST" in told.out
    command = "mdp load AAPL.NASDAQ 5-MINUTE-LAST --derive --from 1-MINUTE-LAST --start 2024-01-03 --end 2024-01-03"
    assert command in told.out
    assert "stale" in mdp("catalog", "verify").out
    mended = mdp(*command.split()[1:])
    assert "(1 of them anew: their finer bars were replaced)" in mended.err
    assert "stale" not in mdp("check", AAPL, "--bar", FIVE.spec).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("5-MINUTE-LAST", "--from", "2-MINUTE-LAST"), "2 MINUTE does not divide 5 MINUTE"),
        (("5-MINUTE-LAST", "--from", "1-MINUTE-MID"), "LAST prices cannot be made of MID prices"),
        (("1-MINUTE-LAST", "--from", "1-MINUTE-LAST"), "they are the same bars"),
        (("5-MINUTE-LAST", "--from", "minutes"), "is not a bar spec"),
        (("5-MINUTE-MID", "--derive"), "No bars are stored of which AAPL.NASDAQ-5-MINUTE-MID-EXTERNAL can be made"),
        (("5-MINUTE-LAST", "--derive", "--hours", "rth"), "derived bars have the hours of the finer ones"),
        (("5-MINUTE-LAST", "--derive", "--start", "2024-01-06", "--end", "2024-01-07"), "There is no 5-MINUTE-LAST session"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(mdp: Mdp, root: Path, arguments: tuple[str, ...], message: str) -> None:
    store_whole(root, DATES)
    ended = mdp("load", AAPL, *arguments)
    assert ended.code in (1, 2)
    assert message in ended.err
