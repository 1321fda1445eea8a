"""The ledger: what is kept, in which database, and what happens when it cannot be used."""

from __future__ import annotations

import datetime as dt
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.catalog.ledger import UNSETTLED, Ledger
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage
from market_data_pipeline.domain.errors import ConfigurationError, MarketDataError, StorageFailed
from market_data_pipeline.domain.source import Precision
from market_data_pipeline_tests.catalog.bar_making import AAPL, CENTS, MONDAY, WEEK, answer, files_of, store, store_week, what_stands

ROW = SessionRow(19_758, Coverage.COMPLETE, 390, 1, 2, 8_000, "ab", "csv", "x.csv", 5, 390, 390, 0, "a.parquet", 8_000, 7, "cd")


@pytest.fixture(params=["file", "url", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """The SQLite file of a catalog, the same SQL through SQLAlchemy, and in a real PostgreSQL."""
    file = tmp_path / "ledger.sqlite"
    places: dict[str, Callable[[], Path | str]] = {
        "file": lambda: file,
        "url": lambda: f"sqlite+pysqlite:///{file}",
        "postgres": lambda: str(request.getfixturevalue("postgres_url")),
    }
    made = Ledger(places[request.param]())
    yield made
    made.close()


def test_rows_come_back_as_they_were_given(ledger: Ledger) -> None:
    series = ledger.define(AAPL, CENTS, Convention("rth", "split"))
    empty = replace(ROW, day=19_760, coverage=Coverage.EMPTY, rows=0, first_open_ns=None, last_close_ns=None, bytes=2_000, stored_at_ns=9)
    partial = replace(ROW, day=19_761, coverage=Coverage.PARTIAL, rows=10, first_open_ns=30, last_close_ns=40)
    ledger.record(series.id, [ROW, empty, partial], 77, bad_files=[("b.parquet", "torn")])
    assert ledger.sessions(series.id) == [ROW, empty, partial]
    assert ledger.contents(series.id) == [(19_758, "complete", 390, "ab"), (19_760, "empty", 0, "ab"), (19_761, "partial", 10, "ab")]
    assert ledger.contents(series.id, dt.date(2024, 2, 8)) == [(19_761, "partial", 10, "ab")]
    assert ledger.sessions(series.id, dt.date(2024, 2, 6), dt.date(2024, 2, 7)) == [empty]
    found = ledger.find(AAPL)
    assert found is not None
    assert (found.series, found.precision, found.convention) == (AAPL, CENTS, Convention("rth", "split"))
    assert (found.rows, found.bytes, found.first_open_ns, found.last_close_ns, found.updated_at_ns) == (400, 18_000, 1, 40, 9)
    assert (found.first_day, found.strip.tolist(), found.folder_mtime_ns) == (19_758, [1, 0, 2, 3], 77)
    assert found.bad_files == (("b.parquet", "torn"),)
    ledger.record(series.id, [replace(ROW, rows=391)], 78, forget=[19_760, 19_761])
    found = ledger.find(AAPL)
    assert found is not None
    assert (found.rows, found.strip.tolist(), found.bad_files) == (391, [1], ())
    ledger.unsettle(series.id)
    assert ledger.all_series()[0].folder_mtime_ns == UNSETTLED


def test_precision_binds_only_where_sessions_are_stored(ledger: Ledger) -> None:
    ledger.define(AAPL, Precision(2, 0), Convention())
    series = ledger.define(AAPL, Precision(4, 0), Convention())
    assert series.precision == Precision(4, 0)
    ledger.record(series.id, [ROW], 1)
    assert ledger.define(AAPL, Precision(2, 0), Convention("rth")).precision == Precision(4, 0)


def test_ids_with_one_folder_name_are_found_by_it(ledger: Ledger) -> None:
    slash = Series.parse("EUR/USD.IDEALPRO-1-DAY-MID-EXTERNAL")
    row = ledger.define(slash, CENTS, Convention())
    assert ledger.find_folder("EURUSD.IDEALPRO-1-DAY-MID-EXTERNAL") is None
    ledger.record(row.id, [ROW], 1)
    found = ledger.find_folder("EURUSD.IDEALPRO-1-DAY-MID-EXTERNAL")
    assert found is not None
    assert found.series == slash


def test_a_failed_transaction_changes_nothing(ledger: Ledger) -> None:
    series = ledger.define(AAPL, CENTS, Convention())
    ledger.record(series.id, [ROW], 1)
    with pytest.raises(StorageFailed, match=r"The ledger .* failed: (NOT NULL|null value in column)"):
        ledger.record(series.id, [replace(ROW, day=19_759), replace(ROW, day=19_760, fingerprint=None)], 2)  # type: ignore[arg-type]
    assert ledger.sessions(series.id) == [ROW]


def test_threads_share_a_ledger(ledger: Ledger) -> None:
    series = [Series.parse(f"T{i}.NASDAQ-1-DAY-LAST-EXTERNAL") for i in range(8)]

    def work(one: Series) -> None:
        row = ledger.define(one, CENTS, Convention())
        for day in range(5):
            ledger.record(row.id, [replace(ROW, day=day)], day)

    threads = [threading.Thread(target=work, args=(one,)) for one in series]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(row.series, row.rows) for row in ledger.all_series()] == [(one, 5 * 390) for one in series]


def test_a_ledger_of_a_later_release_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.sqlite").all_series()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        connection.execute("UPDATE ledger_version SET version = 9")
    connection.close()
    with pytest.raises(StorageFailed, match=r"schema version 9; this release reads 1.*mdp catalog verify"):
        Ledger(tmp_path / "ledger.sqlite").all_series()


@pytest.mark.parametrize("url", ["nonsense", "mongodb://here/x", "oracle+nothing://x"])
def test_a_url_that_means_nothing_is_told(url: str) -> None:
    with pytest.raises(ConfigurationError, match="The ledger's URL cannot be used"):
        Ledger(url).all_series()


def test_a_ledger_that_stays_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market_data_pipeline.catalog.ledger_database._BUSY_S", 0.1)
    file = tmp_path / "ledger.sqlite"
    Ledger(file).all_series()
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert Ledger(file).all_series() == []  # readers do not wait
    with pytest.raises(StorageFailed, match=r"locked by another process for 0\.1 s"):
        Ledger(file).define(AAPL, CENTS, Convention())
    holder.close()


@pytest.mark.parametrize("damage", ["text", "torn", "zeros"])
def test_a_damaged_ledger_is_told_and_made_anew_by_verify(tmp_path: Path, damage: str) -> None:
    catalog = store_week(tmp_path)
    before = what_stands(catalog)
    catalog.ledger.close()
    file = tmp_path / "ledger.sqlite"
    content = file.read_bytes()
    file.write_bytes({"text": b"not a database", "torn": content[: len(content) // 2], "zeros": content[:4096] + bytes(len(content) - 4096)}[damage])
    again = Catalog.open(tmp_path)
    with pytest.raises(StorageFailed, match=r"ledger\.sqlite failed: .*`mdp catalog verify` makes a damaged one anew"):
        again.availability(AAPL)
    report = again.verify()
    assert report.problems[0].kind == "ledger damaged"
    assert (tmp_path / report.problems[0].action.split(";")[0].removeprefix("moved to ")).exists()
    assert what_stands(again) == before


def test_a_ledger_that_was_deleted_is_rebuilt_from_the_files(tmp_path: Path) -> None:
    catalog = store_week(tmp_path)
    before = what_stands(catalog)
    catalog.ledger.close()
    for file in tmp_path.glob("ledger.sqlite*"):
        file.unlink()
    again = Catalog.open(tmp_path)
    assert again.series() == [AAPL]
    assert what_stands(again) == before
    assert {row.source for row in again.sessions(AAPL)} == {"files"}


def test_many_processes_make_one_ledger_at_the_same_moment(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from market_data_pipeline.catalog.ledger import Ledger; print(Ledger(Path(sys.argv[1])).all_series())"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "l.sqlite")], stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert [process.communicate()[0] for process in running] == ["[]\n"] * 6


def test_odd_folder_names_are_no_trouble(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "a b?c=d#e%20@f")
    store(catalog, answer(AAPL, MONDAY))
    assert (tmp_path / "a b?c=d#e%20@f" / "ledger.sqlite").exists()
    assert [row.session for row in Catalog.open(catalog.root).sessions(AAPL)] == [MONDAY]


def test_the_ledger_can_live_elsewhere(tmp_path: Path) -> None:
    url = f"sqlite+pysqlite:///{tmp_path}/elsewhere.sqlite"
    catalog = Catalog.open(tmp_path / "catalog", url)
    store(catalog, *(answer(AAPL, date) for date in WEEK))
    assert not (tmp_path / "catalog" / "ledger.sqlite").exists()
    again = Catalog.open(tmp_path / "catalog", url)
    assert [row.session for row in again.sessions(AAPL)] == WEEK
    catalog.ledger.close()
    again.ledger.close()


def test_a_catalog_says_itself_that_its_ledger_is_in_postgres(tmp_path: Path, postgres_url: str) -> None:
    """Stored before, the sessions are found again from the files; removed again, the file takes the ledger home."""
    store(Catalog.open(tmp_path), answer(AAPL, MONDAY))
    (tmp_path / "ledger.url").write_text(f"# this catalog alone\n{postgres_url}\n")
    (tmp_path / "ledger.sqlite").unlink()
    catalog = Catalog.open(tmp_path)
    store(catalog, *(answer(AAPL, date) for date in WEEK[1:]))
    assert [row.session for row in catalog.sessions(AAPL)] == WEEK
    assert not (tmp_path / "ledger.sqlite").exists()
    before = what_stands(catalog)
    assert [problem.kind for problem in catalog.verify().problems] == ["orphan bars"]  # no definition is stored here
    catalog.ledger.close()
    again = Catalog.open(tmp_path)
    assert what_stands(again) == before
    again.ledger.close()
    (tmp_path / "ledger.url").unlink()
    assert what_stands(Catalog.open(tmp_path)) == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds 0 lines where one is expected. Write the URL"),
        ("a://b\nc://d\n", "holds 2 lines"),
        (
            "postgresql+psycopg://me:hidden@127.0.0.1:1/none",
            r"postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/none failed: .*ledger.url names",
        ),
    ],
)
def test_a_ledger_url_that_leads_nowhere_is_told(tmp_path: Path, content: str, said: str) -> None:
    store(Catalog.open(tmp_path), answer(AAPL, MONDAY))
    (tmp_path / "ledger.url").write_text(content)
    with pytest.raises(MarketDataError, match=said) as refused:
        Catalog.open(tmp_path).availability(AAPL)
    assert "hidden" not in str(refused.value)


_AS_NOBODY = """
import os, sys, urllib.parse  # before the rights are given up: the interpreter may lie where nobody else may read
from pathlib import Path
import filelock, pyarrow.parquet
from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog, availability, reading, reconcile, writer
from market_data_pipeline.domain.errors import StorageFailed
from market_data_pipeline_tests.catalog.bar_making import AAPL, MONDAY, answer, store
partitions_of(AAPL)
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
catalog = Catalog.open(sys.argv[1])
found = catalog.availability(AAPL)
print(found.first_session, found.complete, sum(map(len, catalog.read(AAPL))))
try:
    store(catalog, answer(AAPL, MONDAY))
except StorageFailed as error:
    print(error)
"""


def test_a_catalog_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    """Also where the ledger is behind the files: what is found out then stays in memory."""
    with tempfile.TemporaryDirectory() as folder:  # a folder that other users may enter, unlike tmp_path
        root = Path(folder) / "catalog"
        catalog = store_week(root)
        files_of(catalog)[0].unlink()
        catalog.ledger.close()
        before = sorted(root.rglob("*"))
        for path in [root, *before]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        root.parent.chmod(0o755)
        done = subprocess.run([sys.executable, "-c", _AS_NOBODY, str(root)], capture_output=True, text=True, cwd=Path(__file__).parents[2])
        assert done.returncode == 0, done.stderr
        answered, refused = done.stdout.splitlines()
        assert answered == "2024-02-06 4 1560"
        assert refused.startswith(f"Locking {AAPL.folder} in {root}: Permission denied.")
        assert sorted(root.rglob("*")) == before
        for path in [root, *before]:
            path.chmod(0o755)
