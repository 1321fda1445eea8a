"""`mdp import-csv`: from files to the catalog, with the answers that a person and a program want."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.import_csv import Conflicts, Preference
from market_data_pipeline.ingest.import_csv import OnConflict, Prefer
from market_data_pipeline_tests.cli.conftest import Ended, Mdp
from market_data_pipeline_tests.cli.stored import AAPL_YAML, MINUTES, stored_sessions, write_csv
from market_data_pipeline_tests.cli.week import WEEK, arguments, undeclared

pytestmark = pytest.mark.usefixtures("aapl_yaml")


def test_an_import_stores_definition_and_bars_and_says_so(mdp: Mdp, root: Path) -> None:
    ended = mdp(*arguments(write_csv(Path("aapl.csv"), WEEK), root))
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "AAPL.NASDAQ 1-MINUTE-LAST: 5 sessions stored (2024-02-05 to 2024-02-09)"
    assert lines[1].startswith("  1,950 bars written, 1,950 rows read from aapl.csv in ")
    assert "definition of AAPL.NASDAQ: new" in ended.out
    assert lines[-1] == f"  next: mdp check AAPL.NASDAQ --bar 1-MINUTE-LAST --catalog {root}"
    assert stored_sessions(root) == WEEK
    assert Catalog.open(root).instruments.ids() == ["AAPL.NASDAQ"]


def test_the_same_file_again_changes_nothing(mdp: Mdp, root: Path) -> None:
    file = write_csv(Path("aapl.csv"), WEEK)
    mdp(*arguments(file, root))
    ended = mdp(*arguments(file, root))
    assert ended.code == 0
    assert "5 sessions unchanged" in ended.out
    assert "definition" not in ended.out


def test_json_tells_what_was_done(mdp: Mdp, root: Path) -> None:
    ended = mdp(*arguments(write_csv(Path("aapl.csv"), [WEEK[0], WEEK[2]]), root, "--json"))
    answer = ended.json
    assert answer["series"] == str(MINUTES)
    assert answer["catalog"] == str(root)
    assert answer["sessions"] == {"stored": 2, "replaced": 0, "merged": 0, "skipped": 0, "unchanged": 0, "partial": 0}
    assert (answer["rows_read"], answer["rows_bad"], answer["bars_written"]) == (780, 0, 780)
    assert (answer["first_session"], answer["last_session"]) == ("2024-02-05", "2024-02-07")
    assert answer["gaps"] == [{"first": "2024-02-06", "last": "2024-02-06", "sessions": 1}]
    assert answer["definition"] == {"id": "AAPL.NASDAQ", "outcome": "new", "changes": []}
    assert (answer["dry_run"], answer["rejects_file"], answer["files"]) == (False, None, ["aapl.csv"])


def test_gaps_and_partial_sessions_are_in_the_summary(mdp: Mdp, root: Path) -> None:
    whole, part = write_csv(Path("whole.csv"), [WEEK[0], WEEK[2]]), write_csv(Path("part.csv"), [WEEK[3]], 300)
    ended = mdp(*arguments(whole, root, part))
    assert "partial 2024-02-08: 300 of 390 bars of regular hours, longest stretch without a bar 1 h 30 min" in ended.out
    assert "2 gaps inside: 2024-02-06 (1 session), 2024-02-08 (1 session)" in ended.out


def test_accepted_holes_make_a_session_complete(mdp: Mdp, root: Path) -> None:
    file = write_csv(Path("aapl.csv"), WEEK[:1], 300)
    assert "partial" in mdp(*arguments(file, root)).out
    ended = mdp(*arguments(file, root, "--accept-holes"))
    assert "1 session replaced" in ended.out
    assert "gap" not in ended.out


def test_a_dry_run_makes_nothing(mdp: Mdp, root: Path) -> None:
    ended = mdp(*arguments(write_csv(Path("aapl.csv"), WEEK), root, "--dry-run"))
    assert ended.code == 0
    assert ended.out.startswith("Dry run, nothing was stored; it would be: AAPL.NASDAQ 1-MINUTE-LAST: 5 sessions stored")
    assert "the same command without --dry-run" in ended.out
    assert not root.exists()


def test_a_pair_of_iso_currencies_needs_no_definition(mdp: Mdp, root: Path) -> None:
    Path("eurusd.csv").write_text("timestamp,open,high,low,close\n2024-02-05T10:00:00-05:00,1.07501,1.07505,1.07499,1.07502\n")
    ended = mdp("import-csv", "eurusd.csv", "--instrument", "EUR/USD.IDEALPRO", "--bar", "15-MINUTE-MID", "--stamp", "open", "--catalog", root)
    assert ended.code == 0
    assert "definition of EUR/USD.IDEALPRO: new" in ended.out


def test_an_instrument_without_definition_is_answered_with_the_yaml_to_write(mdp: Mdp, root: Path) -> None:
    without = [one for one in arguments(write_csv(Path("aapl.csv"), WEEK[:1]), root) if one not in ("--instruments", "aapl.yaml")]
    ended = mdp(*without)
    assert ended.code == 1
    assert "There is no definition of AAPL.NASDAQ" in ended.err
    assert "--instruments YAML" in ended.err
    assert '  - id: "AAPL.NASDAQ"' in ended.err
    assert not root.exists()


def test_prices_with_more_decimals_than_the_instrument_are_refused(mdp: Mdp, root: Path) -> None:
    ended = mdp(*arguments(write_csv(Path("aapl.csv"), WEEK[:1], price="185.1234"), root))
    assert ended.code == 1
    assert stored_sessions(root) == []


def test_a_definition_with_other_decimals_than_stored_bars_is_refused_before_it_is_stored(mdp: Mdp, root: Path) -> None:
    file = write_csv(Path("aapl.csv"), WEEK[:1])
    mdp(*arguments(file, root))
    Path("aapl.yaml").write_text(AAPL_YAML.replace("price_precision: 2", "price_precision: 4"))
    ended = mdp(*arguments(file, root, "--json"))
    assert (ended.code, ended.json["error"]) == (1, "PrecisionMismatch")
    assert "is stored with 2 price and 0 size decimals" in ended.err
    assert Catalog.open(root).instruments.precision("AAPL.NASDAQ").price == 2


def bad_rows(path: Path) -> Path:
    """A file whose first row has low above high, and whose second has no number."""
    rows = ["2024-02-05 09:30,185,184,186,185,1", "2024-02-05 09:31,abc,186,184,185,1", "2024-02-05 09:32,185,186,184,185,1"]
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]))
    return path


def test_bad_rows_refuse_the_file(mdp: Mdp, root: Path) -> None:
    ended = mdp(*arguments(bad_rows(Path("bad.csv")), root, "--json"))
    assert (ended.code, ended.json["error"]) == (1, "BadRows")
    assert "--skip-bad-rows" in ended.err
    assert stored_sessions(root) == []


def test_bad_rows_can_be_left_out(mdp: Mdp, root: Path) -> None:
    ended = mdp(*arguments(bad_rows(Path("bad.csv")), root, "--skip-bad-rows"))
    assert ended.code == 0
    assert "2 bad rows left out; they are in " in ended.out
    assert "1 bar written, 3 rows read" in ended.out


def test_ctrl_c_in_the_middle_leaves_whole_sessions(tmp_path: Path, root: Path, mdp: Mdp) -> None:
    file = write_csv(Path("aapl.csv"), WEEK)
    slow = (
        "import time; from market_data_pipeline.catalog.writer import SeriesWriter; from market_data_pipeline.cli.main import main\n"
        "store = SeriesWriter.store\n"
        "def slowly(self, answer):\n    time.sleep(0.3); row = store(self, answer); print('stored', flush=True); return row\n"
        f"SeriesWriter.store = slowly\nraise SystemExit(main({[str(one) for one in arguments(file, root)]!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", slow], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(2):
        assert process.stdout.readline() == "stored\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Stopped at 2024-02-06, after 2 of 5 sessions. They are whole and stay; the same command goes on from there." in err
    assert stored_sessions(root) == WEEK[:2]
    assert "5 sessions (2024-02-05 to 2024-02-09): 3 stored, 2 unchanged" in mdp(*arguments(file, root)).out


def test_no_progress_lines_for_a_short_import(mdp: Mdp, root: Path) -> None:
    assert mdp(*arguments(write_csv(Path("aapl.csv"), WEEK[:1]), root)).err == ""


def test_several_files_are_one_import_also_packed(mdp: Mdp, root: Path) -> None:
    first, second = write_csv(Path("1.csv"), WEEK[:2]), write_csv(Path("2.csv"), WEEK[2:])
    packed = Path("2.csv.gz")
    packed.write_bytes(gzip.compress(second.read_bytes()))
    ended = mdp(*arguments(first, root, packed))
    assert ended.code == 0
    assert stored_sessions(root) == WEEK


def refused(ended: Ended, code: int, *messages: str) -> None:
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith("error: ")
    for message in messages:
        assert message in ended.err


def test_a_file_that_is_not_there(mdp: Mdp, root: Path) -> None:
    refused(mdp(*arguments("nowhere.csv", root)), 1, "nowhere.csv")


def test_a_folder_is_no_file(mdp: Mdp, root: Path) -> None:
    Path("folder.csv").mkdir()
    refused(mdp(*arguments("folder.csv", root)), 1, "folder.csv")


@pytest.mark.parametrize("content", [b"", b"timestamp,open,high,low,close,volume\n", b"\x00\x01\xff\xfe" * 500, b"\n\n\n"])
def test_a_file_that_holds_no_rows(mdp: Mdp, root: Path, content: bytes) -> None:
    Path("bad.csv").write_bytes(content)
    ended = mdp(*arguments("bad.csv", root))
    assert ended.code in (1, 2, 3)
    assert ended.err.startswith("error: ")
    assert "bad.csv" in ended.err
    assert "This is a fault of mdp" not in ended.err
    assert stored_sessions(root) == []


def test_a_packed_file_that_is_torn(mdp: Mdp, root: Path) -> None:
    Path("torn.csv.gz").write_bytes(gzip.compress(write_csv(Path("a.csv"), WEEK).read_bytes())[:2000])
    ended = mdp(*arguments("torn.csv.gz", root))
    assert ended.code == 1
    assert "torn.csv.gz" in ended.err
    assert "This is a fault of mdp" not in ended.err


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file")
def test_a_file_that_may_not_be_read(mdp: Mdp, root: Path) -> None:
    file = write_csv(Path("aapl.csv"), WEEK[:1])
    file.chmod(0)
    refused(mdp(*arguments(file, root)), 1, "aapl.csv")


@pytest.mark.parametrize(
    ("changed", "code", "message"),
    [
        (["--instrument", "AAPL"], 2, "'AAPL' is not an instrument id"),
        (["--instrument", "AAPL.NOWHERE"], 2, "No trading calendar is known for the venue 'NOWHERE'"),
        (["--instrument", "AAPL.NSDQ"], 2, "No trading calendar is known for the venue 'NSDQ'. Did you mean NASDAQ?"),
        (["--instrument", "AAPLE.NASDAQ"], 1, "There is no definition of AAPLE.NASDAQ in aapl.yaml. Did you mean AAPL.NASDAQ?"),
        (["--bar", "1-MINUTES-LAST"], 2, "'1-MINUTES-LAST' is not a bar spec"),
        (["--layout", "metatrader9"], 2, "No CSV layout is called 'metatrader9'. There are: generic"),
        (["--timezone", "New York"], 2, "'New York' is no IANA time zone"),
        (["--delimiter", "::"], 2, "delimiter"),
        (["--instruments", "nowhere.yaml"], 2, "There is no file nowhere.yaml"),
        (["--catalog", "aapl.yaml"], 2, "aapl.yaml is a file, and a Parquet catalog is a folder"),
    ],
)
def test_what_cannot_be_meant_is_refused(mdp: Mdp, root: Path, changed: list[str], code: int, message: str) -> None:
    file = write_csv(Path("aapl.csv"), WEEK[:1])
    refused(mdp(*arguments(file, root, *changed)), code, message)
    assert not root.exists()


def test_a_zone_that_is_not_declared_is_a_question(mdp: Mdp, root: Path) -> None:
    file = write_csv(Path("aapl.csv"), WEEK[:1])
    ended = mdp("import-csv", file, "--instrument", "AAPL.NASDAQ", "--bar", "1-MINUTE-LAST", "--instruments", "aapl.yaml", "--catalog", root)
    refused(ended, 3, "--timezone")


def test_definitions_are_found_in_this_folder_and_in_the_watchlist(mdp: Mdp, root: Path, tmp_path: Path) -> None:
    file = write_csv(Path("aapl.csv"), WEEK[:1])
    without = [one for one in arguments(file, root) if one not in ("--instruments", "aapl.yaml")]
    assert mdp(*without).code == 1
    Path("instruments.yaml").write_text(AAPL_YAML)
    assert "definition of AAPL.NASDAQ: new" in mdp(*without).out
    Path("instruments.yaml").rename("defined.yaml")
    Path("config").mkdir()
    Path("config/watchlist.yaml").write_text(
        "instruments: ../defined.yaml\nuniverses:\n  us:\n    calendar: NYSE\n    start: 2024-01-02\n    bars: [1-MINUTE-LAST]\n"
        "    instruments: [AAPL.NASDAQ]\n    source: {csv: none.csv}\n"
    )
    elsewhere = [tmp_path / "elsewhere" if one == root else one for one in without]
    assert "definition of AAPL.NASDAQ: new" in mdp(*elsewhere).out


def test_choices_on_the_command_line_are_those_of_the_use_case() -> None:
    assert get_args(Conflicts) == tuple(OnConflict)
    assert get_args(Preference) == tuple(Prefer)


def test_real_bars_with_offsets_and_closes(mdp: Mdp, root: Path, market_data: Path) -> None:
    file = market_data / "ibkr-csv" / "EUR-USD_EUR_USD_IDEALPRO_15_MINUTE_MID_EXTERNAL.csv"
    series = ["--instrument", "EUR/USD.IDEALPRO", "--bar", "15-MINUTE-MID"]
    ended = mdp("import-csv", file, *series, "--layout", "ibkr-closes", "--catalog", root, "--json")
    # The count of rows in the file's description (market-data/README.md).
    assert (ended.code, ended.json["bars_written"]) == (0, 45_238)


def test_a_week_of_minutes_needs_no_declaration(mdp: Mdp, root: Path) -> None:
    ended = mdp(*undeclared(write_csv(Path("aapl.csv"), WEEK), root, "--instrument", "AAPL.NASDAQ", "--json"))
    assert ended.code == 0
    told = json.loads(ended.out)["read_as"]
    assert (told["layout"], told["time_zone"], told["stamp"]) == ("generic", "America/New_York", "open")
    assert any("first stamp of a session 09:30, last 15:59" in line for line in told["evidence"])
    assert stored_sessions(root) == WEEK


def test_a_refused_file_defines_no_instrument(mdp: Mdp, root: Path) -> None:
    Path("aapl.csv").write_text("timestamp,open,high,low,close,volume\n2024-02-05 09:30,1,1,1,x,1\n")
    assert mdp(*arguments("aapl.csv", root)).code == 1
    assert Catalog.open(root).instruments.ids() == []


def test_symbols_of_one_file_are_mapped_to_instruments(mdp: Mdp, root: Path) -> None:
    Path("two.csv").write_text(
        "symbol,timestamp,open,high,low,close,volume,trade_count,vwap\n"
        "AAPL,2024-02-05T14:30:00Z,182,182.5,181.9,182.4,100,5,182.2\nIBM,2024-02-05T14:30:00Z,160,160.5,159.9,160.4,90,5,160.2\n"
    )
    Path("aapl.yaml").write_text(f'{AAPL_YAML}  - {{id: "IBM.NYSE", type: equity, currency: USD, price_precision: 2}}\n')
    ended = mdp(*undeclared(Path("two.csv"), root, "--map", "AAPL=AAPL.NASDAQ", "--map", "IBM=IBM.NYSE"))
    assert ended.code == 0
    assert ended.out.count("1 bar written") == 2
    assert "1 row of other symbols was left out" in ended.out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "Say what the files hold"),
        (("--map", "AAPL"), "is not NAME=ID"),
        (("--map", "AAPL=AAPL.NASDAQ", "--instrument", "AAPL.NASDAQ"), "leave out --instrument"),
    ],
)
def test_what_a_file_holds_has_to_be_said_once(mdp: Mdp, root: Path, more: tuple[str, ...], said: str) -> None:
    refused(mdp(*undeclared(write_csv(Path("aapl.csv"), WEEK[:1]), root, *more)), 2, said)
