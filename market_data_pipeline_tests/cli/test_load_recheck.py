"""`mdp load --recheck`, `--rebase` and `mdp revisions`, against gateways whose history was rewritten."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import store_whole
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway

AAPL = ("AAPL.NASDAQ", "1-MINUTE-LAST")
NOW = ("--no-pacing", "--now", "2024-06-03T20:30Z")
Reach = Callable[[RunningGateway], RunningGateway]


@pytest.fixture(autouse=True)
def _this_catalog(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDP_CATALOG", str(root))


def test_a_correction_is_told_stored_and_reported(mdp: Mdp, reach: Reach, tmp_path: Path) -> None:
    with start_gateway(tmp_path / "then", *NOW) as then:
        reach(then)
        assert mdp("load", *AAPL, "--start", "2024-05-28", "--end", "2024-06-03").code == 0
        same = mdp("load", *AAPL, "--recheck", 5)
        assert (same.code, "nothing changed" in same.out) == (0, True)
        none = mdp("revisions")
        assert (none.code, "No stored bar was found changed." in none.out, "--recheck 5" in none.out) == (0, True, True)
    with start_gateway(tmp_path / "now", *NOW, "--fault", "history:*=revised:2024-05-30") as now:
        reach(now)
        dry = mdp("load", *AAPL, "--recheck", 3, "--dry-run")
        assert "2024-05-30 to 2024-06-03 (3 sessions)" in dry.out
        assert "3 requests for 3 sessions" in dry.out
        told = mdp("load", *AAPL, "--recheck", 3, "--json")
    assert told.code == 0
    (series,) = told.json["series"]
    assert (series["found"], series["compared"], series["requests_made"]) == ("revised", 3, 3)
    (session,) = series["revised"]
    assert (session["session"], session["new"], session["gone"]) == ("2024-05-30", 0, 1)
    assert session["changed"] > 20
    assert 0 < session["largest_relative_change"] < 0.001  # three cents at most
    report = mdp("revisions", *AAPL, "--json", "--examples", 2)
    (noted,) = report.json["series"]
    (revision,) = noted["revisions"]
    assert (revision["kind"], revision["bars"], revision["source"]) == ("changed", session["changed"] + 1, "ibkr")
    assert [one["column"] for one in revision["examples"]] == ["close", "volume"]
    spoken = mdp("revisions", "AAPL.NASDAQ")
    assert spoken.code == 0
    assert f"2024-05-30: {session['changed']} bars changed" in spoken.out
    assert "close: " in spoken.out
    unknown = mdp("revisions", "AAPL.NASDQ")
    assert (unknown.code, "Nothing of AAPL.NASDQ is stored" in unknown.err, "Did you mean AAPL.NASDAQ?" in unknown.err) == (1, True, True)
    assert mdp("catalog", "verify").code == 0


def test_a_split_ends_with_1_and_the_command_that_is_named_mends_it(mdp: Mdp, reach: Reach, tmp_path: Path) -> None:
    with start_gateway(tmp_path / "then", *NOW) as then:
        reach(then)
        assert mdp("load", *AAPL, "--start", "2024-05-20", "--end", "2024-06-03").code == 0
    with start_gateway(tmp_path / "now", *NOW, "--fault", "history:*=split:4:2024-06-03") as now:
        reach(now)
        told = mdp("load", *AAPL, "--recheck", 5)
        assert told.code == 1
        assert "prices by 1/4 in 2024-05-28 to 2024-05-31 (4 sessions): split 4:1: nothing was stored" in told.out
        assert "mdp load AAPL.NASDAQ 1-MINUTE-LAST --rebase" in told.out
        asked = mdp("revisions")
        assert (asked.code, "suspected" in asked.out) == (1, True)
        mended = mdp("load", *AAPL, "--rebase")
        assert (mended.code, "the whole series is on the new base" in mended.out) == (0, True)
    report = mdp("revisions", "--examples", 1)
    assert report.code == 0
    assert "rebased: prices by 1/4 in 2024-05-20 to 2024-05-31 (9 sessions): split 4:1" in report.out
    assert mdp("catalog", "verify").code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--recheck", 5, "--rebase"), "give one of them"),
        (
            ("--recheck", 5, "--start", "2024-05-20", "--refetch"),
            "--recheck is about sessions that are stored, so --start, --refetch cannot go with it",
        ),
        (("--rebase", "--mode", "full"), "--rebase is about sessions that are stored, so --mode cannot go with it"),
        (("--recheck", 0), "should be greater than or equal to 1"),
    ],
)
def test_options_that_do_not_go_together_are_told(mdp: Mdp, options: tuple[object, ...], message: str) -> None:
    ended = mdp("load", *AAPL, *map(str, options))
    assert (ended.code, message in ended.err) == (2, True), ended.err


def test_a_series_of_a_file_is_not_asked_of_the_broker(mdp: Mdp, root: Path) -> None:
    store_whole(root, ["2024-05-30"])
    ended = mdp("load", *AAPL, "--recheck", 5)
    assert ended.code == 1
    assert "its sessions come from csv" in ended.err


def test_one_of_several_that_fails_does_not_stop_the_others(mdp: Mdp, reach: Reach, tmp_path: Path) -> None:
    with start_gateway(tmp_path / "then", *NOW) as then:
        reach(then)
        assert mdp("load", *AAPL, "--start", "2024-06-03").code == 0
        ended = mdp("load", "MSFT.NASDAQ", *AAPL, "--recheck", 1)
    assert ended.code == 1
    assert "MSFT.NASDAQ: failed: No whole session of MSFT.NASDAQ" in ended.out
    assert "nothing changed" in ended.out
