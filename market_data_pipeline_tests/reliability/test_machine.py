"""Faults of the machine, with real disks, clocks and processes: each is told, nothing is lost, and once it is over the same command completes.

What is tried elsewhere: files removed, edited or damaged behind our back (`catalog/test_verify.py`, `catalog/test_ledger.py`,
`cli/test_load.py`), two processes on one series and ten on ten (`catalog/test_writer.py`), our own reader beside a writer
(`catalog/test_reading.py`), a catalog of another user (`catalog/test_ledger.py`), a clock that steps back under the pacing table
(`pacing/test_clock.py`).
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define
from market_data_pipeline.catalog.writer import series_lock
from market_data_pipeline_tests import tally
from market_data_pipeline_tests.catalog.bar_making import AAPL, WEEK, answer, files_of, nautilus_reads, rebuilt, store, store_week, what_stands
from market_data_pipeline_tests.cli.stored import AAPL_YAML, write_csv
from market_data_pipeline_tests.reliability.crash_harness import REPOSITORY
from market_data_pipeline_tests.wall_clock import WallClock

IMPORT = ("import-csv", "week.csv", "--instrument", "AAPL.NASDAQ", "--bar", "1-MINUTE-LAST", "--timezone", "America/New_York", "--stamp", "open")
CHANGES = (
    ("instruments", "define", "AAPL.NASDAQ"),
    (*IMPORT, "--on-conflict", "overwrite"),
    ("load", "AAPL.NASDAQ", "5-MINUTE-LAST", "--derive"),
)
DATES = [str(date) for date in WEEK]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a file to import and the definition of its instrument."""
    folder = tmp_path / "here"
    folder.mkdir()
    write_csv(folder / "week.csv", DATES)
    (folder / "instruments.yaml").write_text(AAPL_YAML)
    return folder


def mdp(here: Path, root: Path, *words: str, **environment: str) -> tuple[int, str]:
    """Run a command as a process of its own; return its code and all that it said, which is never a traceback."""
    command = [sys.executable, "-m", "market_data_pipeline.cli", *words, "--catalog", str(root)]
    settings = {**os.environ, "XDG_STATE_HOME": str(here / "state"), "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(here), **environment}
    done = subprocess.run(command, capture_output=True, text=True, cwd=here, env=settings, check=False, timeout=240)
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert "This is a fault of mdp" not in said
    return done.returncode, said


@contextmanager
def mounted(place: Path, *words: str) -> Iterator[Path]:
    """Mount something at a place until the block ends."""
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *words, str(place)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


linux_root = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts file systems, which only root may on Linux")


@pytest.mark.slow
@linux_root
def test_a_disk_that_is_full_is_told_and_once_there_is_room_the_same_commands_complete(here: Path, tmp_path: Path) -> None:
    """A file system of 100 MB, of which something else has taken everything."""
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=100M", "none") as disk:
        root, ballast = disk / "catalog", disk / "ballast"
        stored = store_week(root)
        before = what_stands(stored)
        stored.ledger.close()
        with ballast.open("wb") as file:
            free = shutil.disk_usage(disk).free
            file.write(bytes(free))
        tally.count("faults", len(CHANGES))
        for words in CHANGES:
            code, said = mdp(here, root, *words)
            assert code == 1, (words, said)
            assert "MB are free" in said or "disk is full" in said or "No space left" in said, (words, said)
        code, said = mdp(here, root, "check")
        assert "5 sessions" in said or "disk is full" in said, (code, said)
        code, said = mdp(here, root, "catalog", "export", "AAPL.NASDAQ", "1-MINUTE-LAST", "--out", str(disk / "bars.csv"))
        assert code == 1, said
        assert not (disk / "bars.csv").exists()
        ballast.unlink()
        assert what_stands(Catalog.open(root)) == before
        assert nautilus_reads(root) == (1950, 1950, True)
        for words in (
            ("instruments", "define", "AAPL.NASDAQ"),
            (*IMPORT, "--on-conflict", "overwrite"),
            ("load", "AAPL.NASDAQ", "5-MINUTE-LAST", "--derive"),
        ):
            code, said = mdp(here, root, *words)
            assert code == 0, said
        code, said = mdp(here, root, "catalog", "verify")
        assert code == 0, said


@linux_root
def test_a_disk_that_fills_up_under_the_ledger_is_told(here: Path, tmp_path: Path) -> None:
    """A verification of a catalog without its ledger writes nothing but the ledger."""
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=8M", "none") as disk:
        root = disk / "catalog"
        rebuilt(store_week(root)).ledger.close()
        with (disk / "ballast").open("wb") as file:
            file.write(bytes(shutil.disk_usage(disk).free))
        tally.count("faults")
        code, said = mdp(here, root, "catalog", "verify")
        assert code == 1, said
        assert "disk is full" in said or "could not be written" in said, said
        (disk / "ballast").unlink()
        assert "1 series" in mdp(here, root, "catalog", "verify")[1]
        assert len(Catalog.open(root).sessions(AAPL)) == 5


@linux_root
def test_a_catalog_on_a_disk_that_is_mounted_read_only_answers_and_refuses_to_change(here: Path, tmp_path: Path) -> None:
    """Root may write wherever modes say otherwise, but not here."""
    stored = store_week(tmp_path / "stored")
    stored.ledger.close()
    with mounted(tmp_path / "frozen", "--bind", str(stored.root)) as root:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(root)], check=True)
        assert "5 sessions" in mdp(here, root, "check")[1]
        code, said = mdp(here, root, "catalog", "export", "AAPL.NASDAQ", "1-MINUTE-LAST", "--out", "bars.csv")
        assert code == 0, said
        assert len((here / "bars.csv").read_text().splitlines()) == 1951
        for words in CHANGES:
            tally.count("faults")
            code, said = mdp(here, root, *words)
            assert code == 1, (words, said)
            assert "Read-only file system" in said, (words, said)
        tally.count("faults")
        code, said = mdp(here, root, "catalog", "verify")
        assert code in (0, 1), said
    assert len(what_stands(Catalog.open(stored.root))) == 5
    assert mdp(here, stored.root, *IMPORT, "--on-conflict", "overwrite")[0] == 0


def test_a_clock_that_is_set_back_between_two_imports_changes_nothing(here: Path, tmp_path: Path) -> None:
    """The second import replaces the first, though by the clock it came a year before."""
    if WallClock.installed() is None:
        pytest.skip("no libfaketime (apt install faketime)")
    clock = WallClock(tmp_path, dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC))
    root = tmp_path / "catalog"
    assert mdp(here, root, *IMPORT, **clock.environment)[0] == 0
    first = what_stands(Catalog.open(root))
    clock.set(dt.datetime(2025, 3, 3, 12, tzinfo=dt.UTC))
    tally.count("faults")
    write_csv(here / "week.csv", DATES, price="190.00")
    code, said = mdp(here, root, *IMPORT, "--on-conflict", "overwrite", **clock.environment)
    assert code == 0, said
    second = Catalog.open(root)
    assert [row.fingerprint for row in what_stands(second)] != [row.fingerprint for row in first]
    assert what_stands(second) == what_stands(rebuilt(second))
    assert int(second.read_session(AAPL, WEEK[0]).open[0]) == 19_000
    assert "5 sessions" in mdp(here, root, "check", **clock.environment)[1]
    code, said = mdp(here, root, "catalog", "verify", **clock.environment)
    assert code == 0, said
    assert nautilus_reads(root) == (1950, 1950, True)


def test_versions_of_a_definition_stay_in_their_order_though_the_clock_was_set_back(tmp_path: Path) -> None:
    """2026, then 2025, then 2026 again: what was stored last is the last version."""
    store_ = Catalog.open(tmp_path).instruments
    sizes = (1, 10, 1)
    for lot_size, now in zip(sizes, (2_000, 1_000, 3_000), strict=True):
        (tmp_path / "one.yaml").write_text(f"{AAPL_YAML}    lot_size: {lot_size}\n")
        store_.put(define("AAPL.NASDAQ", InstrumentDefinitions.read(tmp_path / "one.yaml")), "one.yaml", now_ns=now)
    tally.count("faults")
    versions = store_.versions("AAPL.NASDAQ")
    assert [one.definition["lot_size"] for one in versions] == ["1", "10", "1"]
    assert [one.valid_from_ns for one in versions] == [2_000, 2_001, 3_000]


_HOLDING = """
import sys, time
from pathlib import Path
from market_data_pipeline.catalog.layout import CatalogLayout
from market_data_pipeline.catalog.writer import series_lock
with series_lock(CatalogLayout(Path(sys.argv[1])), sys.argv[2], 0):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lock_that_a_dead_process_left_is_free_at_once(tmp_path: Path) -> None:
    """Its file stays, and means nothing."""
    catalog = store_week(tmp_path)
    with subprocess.Popen([sys.executable, "-c", _HOLDING, str(tmp_path), AAPL.folder], stdout=subprocess.PIPE, cwd=REPOSITORY) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    tally.count("kills")
    with series_lock(catalog.layout, AAPL.folder, 0):
        pass
    store(catalog, answer(AAPL, WEEK[0], seed=1))


@pytest.mark.parametrize("version", [0, -1, None], ids=["older", "odd", "none"])
def test_a_ledger_of_another_schema_is_told_and_what_the_message_says_mends_it(here: Path, tmp_path: Path, version: int | None) -> None:
    root = tmp_path / "catalog"
    catalog = store_week(root)
    before = what_stands(catalog)
    catalog.ledger.close()
    with sqlite3.connect(root / "ledger.sqlite") as connection:
        connection.execute("DELETE FROM ledger_version" if version is None else f"UPDATE ledger_version SET version = {version}")
    connection.close()
    tally.count("faults")
    for words in (("check",), (*IMPORT, "--on-conflict", "overwrite")):
        code, said = mdp(here, root, *words)
        assert code == 1, said
        assert "move ledger.sqlite out of the catalog and run `mdp catalog verify`" in said
    for file in root.glob("ledger.sqlite*"):
        file.rename(tmp_path / file.name)
    assert mdp(here, root, "catalog", "verify")[0] in (0, 1)
    assert what_stands(Catalog.open(root)) == before


_REPLACING = """
import sys, time
from pathlib import Path
from market_data_pipeline.catalog import Catalog
from market_data_pipeline_tests.catalog.bar_making import AAPL, WEEK, answer, writing
print("writing", flush=True)
with writing(Catalog.open(Path(sys.argv[1]))) as writer:
    for number in range(1_000_000):
        writer.store(answer(AAPL, WEEK[number % 5], seed=number // 5 % 2))
        time.sleep(0.1)
"""
_READING = """
import sys
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from market_data_pipeline_tests.catalog.bar_making import AAPL, WEEK, bars_equal, regular
versions = [[regular(AAPL, date, seed) for seed in (0, 1)] for date in WEEK]
while True:
    bars = ParquetDataCatalog(sys.argv[1]).query(Bar)
    right = len(bars) == 1950
    for number, known in enumerate(versions):
        session = bars[number * 390 : number * 390 + 390]
        right = right and any(bars_equal(session, one) for one in known)
    print("whole" if right else "WRONG", flush=True)
"""
_REFUSED = ("Out of range of file", "Parquet error", "Object Store error", "No such file")


def test_nautilus_reads_old_or_new_sessions_while_they_are_replaced_and_never_a_mixture(tmp_path: Path) -> None:
    """A reader that knows nothing of our locks, beside a writer that replaces ten sessions a second.

    Nautilus opens a file by its name when it plans and again when it reads. Where the file is replaced in between by one of another size, it
    raises, or ends its process (nautilus_trader 1.230, `crates/persistence/src/backend/session.rs`); it never gives wrong bars. Our own
    reader opens a file once: `catalog/test_reading.py`.
    """
    catalog = store_week(tmp_path)
    catalog.ledger.close()
    whole = refused = 0
    with subprocess.Popen([sys.executable, "-c", _REPLACING, str(tmp_path)], stdout=subprocess.PIPE, cwd=REPOSITORY) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            while whole < 10:
                assert refused < 40
                answers, why = _answers(tmp_path, 10 - whole)
                assert set(answers) <= {"whole"}
                whole += len(answers)
                if why:
                    assert any(words in why for words in _REFUSED), why
                    refused += 1
            assert writer.poll() is None
        finally:
            writer.kill()
            writer.wait()
    print(f"{whole} whole answers, {refused} refusals")  # noqa: T201
    assert len(files_of(catalog)) == 5
    assert nautilus_reads(tmp_path) == (1950, 1950, True)


def _answers(root: Path, count: int) -> tuple[list[str], str]:
    """Let Nautilus read until it has answered so often, or ended; return its answers, and why it ended."""
    answers: list[str] = []
    command = [sys.executable, "-c", _READING, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY) as reader:
        assert reader.stdout is not None
        assert reader.stderr is not None
        while len(answers) < count and (line := reader.stdout.readline()):
            answers.append(line.strip())
        if len(answers) == count:
            reader.kill()
            return answers, ""
        return answers, reader.stderr.read()
