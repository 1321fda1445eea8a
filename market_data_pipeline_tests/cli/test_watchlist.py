from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from market_data_pipeline.watchlist import read_watchlist
from market_data_pipeline_tests.cli.conftest import Mdp

_WATCHLIST = """# What is wanted.
instruments: instruments.yaml

universes:
  stocks:
    calendar: NYSE
    start: 2024-01-02
    bars: ["1-MINUTE-LAST"]
    instruments: ["AAPL.NASDAQ", "SPY.ARCA"]  # two
    source:
      csv: csv/{instrument}.csv

  pairs:
    calendar: FX
    start: 2024-01-02
    bars: ["15-MINUTE-MID"]
    instruments:
      - "EUR/USD.IDEALPRO"  # the largest
    source: ibkr
"""
_INSTRUMENTS = """instruments:
  - {id: "AAPL.NASDAQ", type: equity, currency: USD, price_precision: 2}
"""


@pytest.fixture
def watchlist(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The watchlist of the folder in which the command stands."""
    path = Path.cwd() / "config" / "watchlist.yaml"
    path.parent.mkdir()
    path.write_text(_WATCHLIST)
    (path.parent / "instruments.yaml").write_text(_INSTRUMENTS)
    return path


def test_instruments_are_added_and_comments_stay(mdp: Mdp, watchlist: Path) -> None:
    ended = mdp("watchlist", "add", "stocks", "NVDA.NASDAQ", "AAPL.NASDAQ")
    assert ended.code == 0
    assert ended.out.splitlines()[:2] == [
        "AAPL.NASDAQ is in stocks already.",
        "NVDA.NASDAQ added to stocks in config/watchlist.yaml.",
    ]
    assert watchlist.read_text() == _WATCHLIST.replace('"SPY.ARCA"]', '"SPY.ARCA", "NVDA.NASDAQ"]')
    assert read_watchlist(watchlist).universes["stocks"].instruments == ("AAPL.NASDAQ", "SPY.ARCA", "NVDA.NASDAQ")


def test_instruments_are_removed_and_the_rest_stays(mdp: Mdp, watchlist: Path) -> None:
    ended = mdp("watchlist", "remove", "stocks", "AAPL.NASDAQ", "TSLA.NASDAQ")
    assert ended.code == 0
    assert "TSLA.NASDAQ is not in stocks." in ended.out
    assert "What is stored of them stays" in ended.out
    assert watchlist.read_text() == _WATCHLIST.replace('"AAPL.NASDAQ", ', "")


def test_edits_tell_programs_what_changed(mdp: Mdp, watchlist: Path) -> None:
    added = mdp("watchlist", "add", "pairs", "USD/JPY.IDEALPRO", "EUR/USD.IDEALPRO", "--json").json
    assert (added["added"], added["there_before"]) == (["USD/JPY.IDEALPRO"], ["EUR/USD.IDEALPRO"])
    removed = mdp("watchlist", "remove", "pairs", "EUR/USD.IDEALPRO", "--json").json
    assert (removed["removed"], removed["not_there"], removed["universe"]) == (["EUR/USD.IDEALPRO"], [], "pairs")
    assert '      - "USD/JPY.IDEALPRO"\n' in watchlist.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "bonds", "AAPL.NASDAQ"), "There is no universe 'bonds' in config/watchlist.yaml. There are: stocks, pairs."),
        (("add", "stocks", "AAPL"), "AAPL"),
        (("add", "stocks", "EUR/USD.IDEALPRO"), "was not changed, for it would be wrong then: config/watchlist.yaml, line 5: universes.stocks"),
        (("add", "stocks", "X.NOWHERE"), "No trading calendar is known for the venue 'NOWHERE'"),
        (("remove", "pairs", "EUR/USD.IDEALPRO"), "pairs would have no instrument left, and a universe needs one."),
        (("add", "stocks"), "Missing argument"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(mdp: Mdp, watchlist: Path, arguments: tuple[str, ...], says: str) -> None:
    ended = mdp("watchlist", *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert watchlist.read_text() == _WATCHLIST


def test_a_broken_watchlist_is_not_edited(mdp: Mdp, watchlist: Path) -> None:
    broken = _WATCHLIST.replace("calendar: FX", "calendar: FOREX")
    watchlist.write_text(broken)
    ended = mdp("watchlist", "add", "stocks", "NVDA.NASDAQ")
    assert ended.code == 2
    assert "config/watchlist.yaml, line 13: universes.pairs: 'FOREX' is no calendar" in ended.err
    assert watchlist.read_text() == broken


def test_the_file_keeps_its_mode_and_a_link_stays_a_link(mdp: Mdp, watchlist: Path) -> None:
    real = watchlist.parent / "real.yaml"
    os.replace(watchlist, real)
    real.chmod(0o640)
    watchlist.symlink_to(real)
    assert mdp("watchlist", "add", "stocks", "NVDA.NASDAQ").code == 0
    assert watchlist.is_symlink()
    assert "NVDA.NASDAQ" in real.read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(path.name for path in watchlist.parent.iterdir()) == ["instruments.yaml", "real.yaml", "watchlist.yaml"]


def test_universes_are_listed(mdp: Mdp, watchlist: Path) -> None:
    shown = mdp("watchlist", "list")
    assert shown.code == 0
    assert "AAPL.NASDAQ, SPY.ARCA" in shown.out
    told = mdp("watchlist", "list", "--json").json
    assert told["config"] == str(watchlist)
    assert [one["name"] for one in told["universes"]] == ["stocks", "pairs"]
    assert told["universes"][1] == {
        "name": "pairs",
        "calendar": "FX",
        "start": "2024-01-02",
        "end": None,
        "source": "ibkr",
        "hours": "all",
        "bars": ["15-MINUTE-MID"],
        "derived": {},
        "instruments": ["EUR/USD.IDEALPRO"],
    }


@pytest.mark.usefixtures("watchlist")
def test_a_right_watchlist_is_said_to_be_right_with_what_keeps_it_from_loading(mdp: Mdp) -> None:
    ended = mdp("watchlist", "validate")
    assert (ended.code, ended.out) == (0, "config/watchlist.yaml is right: stocks, pairs.\n")
    assert "stocks: there is no file csv/AAPL.NASDAQ.csv of AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL yet." in ended.err
    assert "stocks: SPY.ARCA is not in the file of definitions; mdp instruments define SPY.ARCA shows what to write there." in ended.err


def test_every_mistake_is_named_with_its_line(mdp: Mdp, watchlist: Path) -> None:
    names = ", ".join(['"AAPL.NASDAQ"', "NO", *(f"B{i}" for i in range(9))])
    wrong = _WATCHLIST.replace('["AAPL.NASDAQ", "SPY.ARCA"]', f"[{names}]").replace(
        'start: 2024-01-02\n    bars: ["15', 'begin: 2024-01-02\n    bars: ["15'
    )
    watchlist.write_text(wrong)
    ended = mdp("watchlist", "validate")
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert len([line for line in lines if line.startswith("config/watchlist.yaml, line 9: universes.stocks.instruments[")]) == 10
    assert "config/watchlist.yaml, line 13: universes.pairs.start: is missing" in lines
    assert "config/watchlist.yaml, line 15: universes.pairs.begin: is no key known here" in lines
    assert lines[-1] == "12 mistakes."
    told = mdp("watchlist", "validate", "--json")
    assert (told.code, told.json["valid"], told.json["mistakes"]) == (1, False, lines[:-1])


def test_a_mistake_in_the_definitions_is_one_of_the_watchlist(mdp: Mdp, watchlist: Path) -> None:
    (watchlist.parent / "instruments.yaml").write_text(_INSTRUMENTS.replace("equity", "share"))
    ended = mdp("watchlist", "validate")
    assert ended.code == 1
    assert "instruments.yaml, line 2: instruments[0]" in ended.out


def test_yaml_that_cannot_be_read_is_one_mistake_with_its_line(mdp: Mdp, watchlist: Path) -> None:
    watchlist.write_text(_WATCHLIST.replace('"SPY.ARCA"]', '"SPY.ARCA"'))
    ended = mdp("watchlist", "validate")
    assert ended.code == 1
    assert ended.out.startswith("config/watchlist.yaml, line ")
    assert "not valid YAML" in ended.out


def test_no_watchlist_says_how_to_name_one(mdp: Mdp) -> None:
    ended = mdp("watchlist", "validate")
    assert ended.code == 2
    assert "Name one with --config YAML, or with the environment variable MDP_CONFIG." in ended.err


_DERIVED = """universes:
  stocks:
    calendar: NYSE
    start: 2024-01-02
    bars:
      - "1-MINUTE-LAST"
      - "{bars}"
    instruments: ["AAPL.NASDAQ"]
    source: ibkr
"""


@pytest.mark.parametrize(
    ("bars", "mistake"),
    [
        ("1-HOUR-LAST from 2-MINUTE-LAST", 'the universe has no bars 2-MINUTE-LAST. Add "2-MINUTE-LAST" to its bars'),
        ("5-MINUTE-LAST from 5-MINUTE-LAST", "they are the same bars"),
        ("5-MINUTE-LAST from 15-MINUTE-LAST", "15-MINUTE-LAST is not finer than 5-MINUTE-LAST"),
        ("3-MINUTE-LAST from 2-MINUTE-LAST", "2 MINUTE does not divide 3 MINUTE"),
        ("5-MINUTE-LAST from 1-MINUTE-MID", "LAST prices cannot be made of MID prices"),
        ("5-MINUTE-LAST from", "write bars and the finer ones that they are made of"),
    ],
)
def test_bars_that_cannot_be_derived_are_refused_at_their_line(mdp: Mdp, tmp_path: Path, bars: str, mistake: str) -> None:
    path = tmp_path / "derived.yaml"
    path.write_text(_DERIVED.replace("{bars}", bars))
    ended = mdp("watchlist", "validate", "--config", path)
    assert ended.code == 1
    said = ended.out + ended.err
    assert f"{path}, line 7: universes.stocks.bars[1]" in said
    assert mistake in said


def test_derived_bars_are_listed_as_they_are_written(mdp: Mdp, tmp_path: Path) -> None:
    path = tmp_path / "derived.yaml"
    path.write_text(_DERIVED.replace("{bars}", "1-HOUR-LAST from 1-MINUTE-LAST"))
    assert mdp("watchlist", "validate", "--config", path).code == 0
    universe = read_watchlist(path).universes["stocks"]
    assert (universe.bars, universe.derived) == (("1-MINUTE-LAST", "1-HOUR-LAST"), {"1-HOUR-LAST": "1-MINUTE-LAST"})
    assert "1-MINUTE-LAST, 1-HOUR-LAST from 1-MINUTE-LAST" in " ".join(mdp("watchlist", "list", "--config", path).out.split())
