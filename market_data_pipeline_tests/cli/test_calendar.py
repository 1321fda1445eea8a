"""`mdp calendar check` against a gateway whose schedule is another one, and what a written override does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import MINUTES, minutes, store_whole, stored_sessions
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway

MAY = ("--start", "2024-05-01", "--end", "2024-05-31")
# Memorial Day was Monday 2024-05-27; May 2024 had 22 sessions (NYSE holiday calendar 2024).
_FAULTS = ("schedule/AAPL:*=closed:2024-05-30", "schedule/MSFT:*=early-close:2024-05-24", "schedule/SPY:*=opened:2024-05-27")


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    flags = [word for fault in _FAULTS for word in ("--fault", fault)]
    with start_gateway(tmp_path_factory.mktemp("gateway"), "--no-pacing", "--now", "2024-06-03T20:30Z", *flags) as running:
        yield running


@pytest.fixture(autouse=True)
def overrides(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, gateway: RunningGateway) -> Path:
    file = tmp_path / "overrides" / "calendar_overrides.yaml"
    monkeypatch.setenv("MDP_CALENDAR_OVERRIDES", str(file))
    monkeypatch.setenv("MDP_CATALOG", str(root))
    return file


@pytest.mark.parametrize(
    ("instrument", "calendar"),
    [("NVDA.NASDAQ", "NYSE"), ("EUR/USD.IDEALPRO", "FX"), ("ESM4.CME", "CME"), ("^SPX.CBOE", "CBOE"), ("BTC/USD.PAXOS", "CRYPTO")],
)
@pytest.mark.parametrize("hours", ["rth", "all"])
def test_the_same_schedule_has_no_difference(mdp: Mdp, instrument: str, calendar: str, hours: str) -> None:
    """Two years are two requests; the newest session told of is that of the day before."""
    ended = mdp("calendar", "check", instrument, "--start", "2023-01-03", "--hours", hours, "--json")
    assert ended.code == 0, ended.err
    told = ended.json
    assert (told["calendar"], told["hours"], told["same"], told["differences"], told["end"]) == (calendar, hours, True, [], "2024-06-02")
    assert told["sessions"]["ours"] == told["sessions"]["broker"] > 300


def test_a_session_that_only_we_have_is_told_and_can_be_closed(mdp: Mdp, overrides: Path) -> None:
    told = mdp("calendar", "check", "AAPL.NASDAQ", *MAY)
    assert told.code == 1
    assert "1 difference, 22 and 21 sessions; times are of America/New_York" in told.out
    assert "2024-05-30: only our calendar has a session: ours 09:30 to 16:00, the broker no session" in told.out
    assert "mdp calendar check AAPL.NASDAQ --start 2024-05-01 --end 2024-05-31 --write" in told.out
    assert not overrides.exists()
    written = mdp("calendar", "check", "AAPL.NASDAQ", *MAY, "--write")
    assert (written.code, f"written to {overrides}" in written.out) == (0, True)
    assert "note: this is the simulator's, and invented: take it out again before real data" in written.out
    assert "2024-05-30: \"the simulator's invented schedule of AAPL.NASDAQ, seen " in overrides.read_text()
    assert mdp("calendar", "check", "AAPL.NASDAQ", *MAY).code == 0
    # Nobody asks for the closed session any more, and it is no gap.
    assert mdp("load", "NVDA.NASDAQ", "1-MINUTE-LAST", "--start", "2024-05-28", "--end", "2024-05-31").code == 0
    (series,) = mdp("check", "--json", "--start", "2024-05-28", "--end", "2024-05-31").json["series"]
    assert (series["sessions"]["calendar"], series["complete"]) == (3, True)


def test_an_early_close_and_a_session_that_only_the_broker_has(mdp: Mdp, overrides: Path) -> None:
    (early,) = mdp("calendar", "check", "MSFT.NASDAQ", *MAY, "--json").json["differences"]
    assert (early["date"], early["kind"], early["in_words"]) == ("2024-05-24", "hours", "ours 09:30 to 16:00, the broker 09:30 to 13:00")
    assert (early["ours"]["close"], early["broker"]["close"]) == ("2024-05-24T20:00:00.000000000Z", "2024-05-24T17:00:00.000000000Z")
    assert mdp("calendar", "check", "MSFT.NASDAQ", *MAY, "--write").code == 0
    assert mdp("calendar", "check", "MSFT.NASDAQ", *MAY).code == 0
    assert mdp("load", "MSFT.NASDAQ", "1-MINUTE-LAST", "--start", "2024-05-24", "--end", "2024-05-24", "--json").code == 0
    opened = mdp("calendar", "check", "SPY.ARCA", *MAY, "--json", "--write")
    kinds = {one["date"]: one["kind"] for one in opened.json["differences"]}
    assert kinds == {"2024-05-24": "hours", "2024-05-27": "only theirs"}
    # Where the broker agrees with what is published, no override is left.
    assert "2024-05-24" not in overrides.read_text()
    assert '2024-05-27: {open: "09:30", close: "16:00"' in overrides.read_text()


def test_an_override_that_would_orphan_a_stored_session_is_refused(mdp: Mdp, root: Path, overrides: Path) -> None:
    store_whole(root, ["2024-05-29", "2024-05-30"])
    refused = mdp("calendar", "check", "AAPL.NASDAQ", *MAY, "--write")
    assert refused.code == 2
    assert "IBKR has no NYSE session on 2024-05-30, and sessions of AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL are stored there" in refused.err
    assert not overrides.exists()


def test_one_that_was_written_by_hand_is_refused_by_every_command_until_it_is_taken_out(mdp: Mdp, root: Path, overrides: Path) -> None:
    store_whole(root, ["2024-05-29", "2024-05-30"])
    overrides.parent.mkdir()
    overrides.write_text("calendars:\n  NYSE:\n    closed:\n      2024-05-30: by hand\n")
    for command in (("check",), ("load", "AAPL.NASDAQ", "1-MINUTE-LAST", "--start", "2024-05-31")):
        refused = mdp(*command)
        assert refused.code == 2
        assert f"{overrides} closes 2024-05-30" in refused.err
        assert "Take the date out of that file" in refused.err
    overrides.unlink()
    assert stored_sessions(root) == ["2024-05-29", "2024-05-30"]
    assert mdp("check").code == 0
    assert len(minutes("2024-05-29")) == 390
    assert MINUTES.venue == "NASDAQ"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("AAPL.NASDAQ", "--hours", "all", "--write"), 2, "--write cannot go with --hours all"),
        (("AAPL.NASDAQ", "--start", "2024-06-10"), 2, "The broker tells of sessions that are over, up to 2024-06-02"),
        (("AAPL.NOWHERE",), 2, "No trading calendar is known for the venue 'NOWHERE'"),
        (("NOSUCH.NASDAQ",), 1, "NOSUCH"),
        (("AAPL",), 2, "AAPL"),
    ],
)
def test_what_cannot_be_compared_is_told(mdp: Mdp, options: tuple[str, ...], code: int, message: str) -> None:
    ended = mdp("calendar", "check", *options)
    assert (ended.code, message in ended.err) == (code, True), ended.err
