"""`mdp check`: NYSE had 61 sessions from 2024-01-02 to 2024-03-28 (NYSE holiday calendar 2024: MLK, Presidents' Day, Good Friday closed)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import MINUTES, minutes, store, store_whole
from market_data_pipeline_tests.instants import weekdays

# The first week of February 2024, all five days open.
WEEK = ["2024-02-05", "2024-02-06", "2024-02-07", "2024-02-08", "2024-02-09"]


def _quarter() -> list[str]:
    closed = {dt.date(2024, 1, 15), dt.date(2024, 2, 19)}
    return [str(day) for day in sorted(weekdays(dt.date(2024, 1, 2), dt.date(2024, 3, 28)) - closed)]


def test_a_complete_series_is_told_in_one_line(mdp: Mdp, root: Path) -> None:
    store_whole(root, _quarter())
    ended = mdp("check", "AAPL.NASDAQ", "--catalog", root)
    assert ended.code == 0
    assert ended.out.splitlines()[0] == "AAPL.NASDAQ 1-MINUTE-LAST: 2024-01-02 to 2024-03-28, 61 sessions, complete"
    assert "23,790 bars" in ended.out
    assert "fill it" not in ended.out


def test_a_gap_is_told_with_the_command_that_fills_it(mdp: Mdp, root: Path) -> None:
    store_whole(root, [day for day in _quarter() if day not in WEEK[:3]])
    ended = mdp("check", "AAPL.NASDAQ", "--catalog", root)
    first = "AAPL.NASDAQ 1-MINUTE-LAST: 2024-01-02 to 2024-03-28, 58 of 61 sessions complete; 1 gap: 2024-02-05 to 2024-02-07 (3 sessions)"
    assert ended.out.splitlines()[0] == first
    assert f"fill it: mdp import-csv FILE --instrument AAPL.NASDAQ --bar 1-MINUTE-LAST --catalog {root}" in ended.out


def test_the_command_that_fills_it_names_the_files_of_the_watchlist(mdp: Mdp, root: Path) -> None:
    store_whole(root, [WEEK[0], WEEK[2]])
    Path("aapl 1.csv").touch()
    Path("watchlist.yaml").write_text(
        "universes:\n  us:\n    calendar: NYSE\n    start: 2024-01-02\n    bars: [1-MINUTE-LAST]\n    instruments: [AAPL.NASDAQ]\n"
        "    source: {csv: aapl*.csv, time_zone: America/New_York, stamp: open}\n"
    )
    ended = mdp("--config", "watchlist.yaml", "--catalog", root, "check")
    file = Path("aapl 1.csv").absolute()
    assert f"fill it: mdp import-csv '{file}' --instrument AAPL.NASDAQ --bar 1-MINUTE-LAST --timezone America/New_York --stamp open" in ended.out


def test_a_broken_watchlist_does_not_hide_what_is_stored(mdp: Mdp, root: Path) -> None:
    store_whole(root, [WEEK[0], WEEK[2]])
    Path("watchlist.yaml").write_text("universes: 3\n")
    ended = mdp("check", "--catalog", root, "--config", "watchlist.yaml")
    assert ended.code == 0
    assert "1 gap: 2024-02-06 (1 session)" in ended.out
    assert "watchlist.yaml, line 1" in ended.err


def test_a_range_is_judged_also_before_and_after_what_is_stored(mdp: Mdp, root: Path) -> None:
    store_whole(root, WEEK)
    ended = mdp("check", "AAPL.NASDAQ", "--start", "2024-02-01", "--end", "2024-02-13", "--catalog", root)
    # 1, 2, 5 to 9, 12 and 13 February: nine sessions.
    gaps = "2 gaps: 2024-02-01 to 2024-02-02 (2 sessions), 2024-02-12 to 2024-02-13 (2 sessions)"
    assert f"2024-02-01 to 2024-02-13, 5 of 9 sessions complete; {gaps}" in ended.out
    assert "all that is stored: 2024-02-05 to 2024-02-09" in ended.out


def test_a_range_with_closed_days_only_is_no_gap(mdp: Mdp, root: Path) -> None:
    store_whole(root, WEEK)
    ended = mdp("check", "--start", "2024-02-10", "--end", "2024-02-11", "--catalog", root)
    assert ended.code == 0
    assert "2024-02-10 to 2024-02-11, no session of its calendar" in ended.out


def test_a_start_behind_what_is_stored_is_judged_up_to_now(mdp: Mdp, root: Path) -> None:
    store_whole(root, WEEK)
    (series,) = mdp("check", "--start", "2024-02-12", "--catalog", root, "--json").json["series"]
    assert series["judged"]["start"] == "2024-02-12"
    assert series["sessions"]["calendar"] == series["sessions"]["missing"] > 100


def test_sessions_that_have_not_ended_are_not_judged(mdp: Mdp, root: Path) -> None:
    store_whole(root, WEEK)
    ended = mdp("check", "--start", "2024-02-05", "--end", str(dt.datetime.now(dt.UTC).date() + dt.timedelta(days=40)), "--json", "--catalog", root)
    judged = ended.json["series"][0]["judged"]["end"]
    assert dt.date.fromisoformat(judged) <= dt.datetime.now(dt.UTC).date()


def test_partial_and_thin_sessions_come_with_their_evidence(mdp: Mdp, root: Path) -> None:
    answers = [
        (WEEK[0], minutes(WEEK[0]), Coverage.COMPLETE),
        (WEEK[1], minutes(WEEK[1], count=300), Coverage.PARTIAL),
        (WEEK[2], minutes(WEEK[2], count=100), Coverage.COMPLETE),
    ]
    store(root, answers)
    ended = mdp("check", "AAPL.NASDAQ", "--catalog", root)
    # 390 minutes from 09:30 to 16:00: after 300 of them 90 are left, after 100 of them 290.
    assert "1 partial session" in ended.out
    assert "2024-02-06: 300 of 390 bars of regular hours, longest stretch without a bar 1 h 30 min" in ended.out
    assert "1 thin session" in ended.out
    assert "2024-02-07: 100 of 390 bars of regular hours, longest stretch without a bar 4 h 50 min" in ended.out
    assert "--accept-holes" in ended.out


def test_an_empty_session_is_no_gap(mdp: Mdp, root: Path) -> None:
    empty = minutes(WEEK[1], count=0)
    store(root, [(WEEK[0], minutes(WEEK[0]), Coverage.COMPLETE), (WEEK[1], empty, Coverage.EMPTY), (WEEK[2], minutes(WEEK[2]), Coverage.COMPLETE)])
    assert "3 sessions (1 of them without bars), complete" in mdp("check", "--catalog", root).out


def test_many_gaps_are_listed_below(mdp: Mdp, root: Path) -> None:
    store_whole(root, _quarter()[::4])
    ended = mdp("check", "--catalog", root)
    # Every fourth of 61 sessions: 16 stored, and 15 gaps of 3 between them.
    assert "16 of 61 sessions complete; 15 gaps of 45 sessions" in ended.out
    assert "… and 5 more gaps; --json lists all" in ended.out
    assert len(mdp("check", "--json", "--catalog", root).json["series"][0]["gaps"]) == 15


def test_many_series_make_a_table(mdp: Mdp, root: Path) -> None:
    for symbol in "ABCD":
        store_whole(root, WEEK if symbol != "C" else WEEK[::2], Series.of(f"{symbol}.NYSE", "1-MINUTE-LAST"))
    lines = mdp("check", "--catalog", root).out.splitlines()
    assert lines[0].split() == [
        *("INSTRUMENT", "BAR", "SPEC", "FIRST", "LAST", "SESSIONS", "COMPLETE", "EMPTY", "PARTIAL", "MISSING", "GAPS", "BARS", "SIZE")
    ]
    assert lines[3].split()[:11] == ["C.NYSE", "1-MINUTE-LAST", "2024-02-05", "2024-02-09", "5", "3", "0", "0", "2", "2", "1,170"]
    assert lines[5] == "4 series, 1 with gaps: C.NYSE 1-MINUTE-LAST"
    assert lines[6] == f"details and what fills a gap: mdp check ID --catalog {root}"


def test_json_holds_everything(mdp: Mdp, root: Path) -> None:
    store(root, [(WEEK[0], minutes(WEEK[0]), Coverage.COMPLETE), (WEEK[2], minutes(WEEK[2], count=300), Coverage.PARTIAL)])
    ended = mdp("check", "AAPL.NASDAQ", "--json", "--catalog", root)
    assert ended.json["catalog"] == str(root)
    (series,) = ended.json["series"]
    assert series["series"] == str(MINUTES)
    assert (series["first_session"], series["last_session"]) == ("2024-02-05", "2024-02-07")
    # New York is five hours behind UTC in February.
    assert (series["first_open"], series["last_close"]) == ("2024-02-05T14:30:00.000000000Z", "2024-02-07T19:30:00.000000000Z")
    assert series["bars"] == 690
    assert series["sessions"] == {"calendar": 3, "complete": 1, "empty": 0, "partial": 1, "missing": 1}
    assert series["complete"] is False
    assert series["gaps"] == [{"first": "2024-02-06", "last": "2024-02-07", "sessions": 2}]
    (partial,) = series["partial_sessions"]
    assert (partial["session"], partial["bars"], partial["expected_bars"], partial["longest_absence_s"]) == ("2024-02-07", 300, 390, 5400)
    assert series["thin_sessions"] == []
    assert series["bad_files"] == []
    assert series["next"].startswith("mdp import-csv FILE")


def test_a_bad_file_is_told_and_left_where_it_is(mdp: Mdp, root: Path) -> None:
    catalog = store_whole(root, WEEK)
    folder = catalog.layout.series_folder(MINUTES)
    torn = sorted(folder.glob("*.parquet"))[2]
    torn.write_bytes(torn.read_bytes()[:500])
    torn.rename(torn)
    folder.touch()
    ended = mdp("check", "--catalog", root)
    assert ended.code == 0
    assert f"bad file {torn.name}" in ended.out
    assert "mdp catalog verify" in ended.out
    assert f"for this catalog, add to such a command: --catalog {root}\n" in ended.out
    assert torn.exists()


def test_a_picture_is_drawn(mdp: Mdp, root: Path) -> None:
    store_whole(root, WEEK)
    ended = mdp("check", "AAPL.NASDAQ", "--picture", "coverage.png", "--catalog", root)
    assert (ended.code, ended.err) == (0, "drawn: coverage.png\n")
    assert Path("coverage.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_a_picture_is_of_one_series(mdp: Mdp, root: Path) -> None:
    for symbol in "AB":
        store_whole(root, WEEK[:1], Series.of(f"{symbol}.NYSE", "1-MINUTE-LAST"))
    ended = mdp("check", "--picture", "coverage.png", "--catalog", root)
    assert (ended.code, Path("coverage.png").exists()) == (2, False)
    assert "--picture draws one series, and 2 match" in ended.err


@pytest.mark.parametrize("name", ["coverage.jpg", "nowhere/coverage.png"])
def test_a_picture_needs_a_png_in_a_folder_that_exists(mdp: Mdp, root: Path, name: str) -> None:
    store_whole(root, WEEK[:1])
    ended = mdp("check", "--picture", name, "--catalog", root)
    assert ended.code == 2
    assert f"--picture {name}" in ended.err


def test_an_unknown_id_is_answered_with_what_is_stored(mdp: Mdp, root: Path) -> None:
    store_whole(root, WEEK[:1])
    ended = mdp("check", "AALP.NASDAQ", "--catalog", root)
    assert ended.code == 1
    assert "Nothing of AALP.NASDAQ is stored" in ended.err
    assert "Did you mean AAPL.NASDAQ?" in ended.err
    assert ended.out == ""


def test_a_bar_spec_that_is_not_stored_is_answered_with_what_is(mdp: Mdp, root: Path) -> None:
    store_whole(root, WEEK[:1])
    ended = mdp("check", "AAPL.NASDAQ", "--bar", "1-DAY-LAST", "--catalog", root)
    assert ended.code == 1
    assert "No bars of 1-DAY-LAST are stored" in ended.err
    assert str(MINUTES) in ended.err


def test_a_bar_type_names_one_series(mdp: Mdp, root: Path) -> None:
    store_whole(root, WEEK[:1])
    assert mdp("check", str(MINUTES), "--catalog", root).out.startswith("AAPL.NASDAQ 1-MINUTE-LAST: 2024-02-05, 1 session, complete")


def test_an_empty_catalog_says_how_to_start_and_stays_unmade(mdp: Mdp, root: Path) -> None:
    ended = mdp("check", "--catalog", root)
    assert ended.code == 0
    assert "mdp import-csv FILE" in ended.out
    assert mdp("check", "--json", "--catalog", root).json == {"catalog": str(root), "series": []}
    assert not root.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "2024-13-01"], "'2024-13-01' is not a date. Write YYYY-MM-DD"),
        (["--start", "20240105"], "'20240105' is not a date"),
        (["--start", "2024-02-05", "--end", "2024-01-05"], "The range runs backwards: 2024-02-05 to 2024-01-05"),
        (["--bar", "60-MINUTE-LAST"], "Write 1-HOUR-LAST"),
        (["AAPL"], "'AAPL' is not an instrument id. Write SYMBOL.VENUE"),
        (["--start", "1800-01-01"], "The calendar NYSE knows sessions from"),
        (["--start", "2200-01-01"], "The calendar NYSE knows sessions from"),
        (["--end", "2024-02-01"], "2024-02-01 lies before the first stored session"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(mdp: Mdp, root: Path, arguments: list[str], message: str) -> None:
    store_whole(root, WEEK)
    ended = mdp("check", *arguments, "--catalog", root)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert message in ended.err
