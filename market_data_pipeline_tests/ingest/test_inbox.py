"""Files of the inbox without Dagster: what they hold, when they are complete, and where they go."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions
from market_data_pipeline.catalog.writer import series_lock
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import ConfigurationError, SeriesLocked, UsageError
from market_data_pipeline.ingest import inbox as use_case
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.inbox import LOCK, FileDone, Inbox, take_in
from market_data_pipeline.ingest.inbox_journal import InboxJournal, identity_of
from market_data_pipeline.ingest.inbox_look import look_into
from market_data_pipeline.ingest.inbox_rules import InboxRules, meaning_of, read_rules

AAPL = Series.of("AAPL.NASDAQ", "1-MINUTE-LAST")
NAME = "AAPL.NASDAQ-1-MINUTE-LAST.csv"
_ROWS = "timestamp,open,high,low,close,volume\n2024-01-05 09:30:00,10.00,10.20,9.90,10.10,5\n2024-01-05 09:31:00,10.10,10.20,9.90,10.00,7\n"
_DEFINITIONS = 'instruments:\n  - {id: "AAPL.NASDAQ", type: equity, currency: USD, price_precision: 2}\n'


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog.open(tmp_path / "catalog")


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    """An inbox whose rule knows zone and stamp, with one file in it."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / NAME).write_text(_ROWS)
    (tmp_path / "instruments.yaml").write_text(_DEFINITIONS)
    rule = {"pattern": "{instrument}-{bar}.csv", "time_zone": "America/New_York", "stamp": "open", "accept_holes": True}
    rules = InboxRules.model_validate({"rules": [rule]})
    return Inbox(folder, rules, lambda: InstrumentDefinitions.read(tmp_path / "instruments.yaml"), ("EUR/USD.IDEALPRO",), tmp_path)


def dealt_with(catalog: Catalog, inbox: Inbox, *names: str, run: Run = Run.STORE) -> list[FileDone]:
    return [event for event in take_in(catalog, inbox, names or (NAME,), run) if isinstance(event, FileDone)]


def series_by(pattern: str, name: str, **more: str) -> Series | None:
    rules = InboxRules.model_validate({"rules": [{"pattern": pattern, **more}]})
    return rules.rules[0].series_in(name, {"EURUSD.IDEALPRO": "EUR/USD.IDEALPRO", "BRKB.NYSE": "BRK/B.NYSE"})


@pytest.mark.parametrize(
    ("pattern", "name", "more", "series"),
    [
        ("{instrument}-{bar}.csv", "AAPL.NASDAQ-1-MINUTE-LAST.csv", {}, "AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"),
        ("{instrument}_{bar}.csv*", "BRK-B.NYSE_1-day-last.csv.gz", {}, "BRK-B.NYSE-1-DAY-LAST-EXTERNAL"),
        ("{instrument}-{bar}.csv", "EURUSD.IDEALPRO-15-MINUTE-MID.csv", {}, "EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL"),
        ("{instrument}-{bar}.csv", "GBPUSD.IDEALPRO-15-MINUTE-MID.csv", {}, "GBP/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL"),
        ("{instrument}-{bar}.csv", "BRKB.NYSE-1-DAY-LAST.csv", {}, "BRK/B.NYSE-1-DAY-LAST-EXTERNAL"),
        ("export {symbol} ????.csv", "export MSFT 2024.csv", {"venue": "NASDAQ", "bar": "1-DAY-LAST"}, "MSFT.NASDAQ-1-DAY-LAST-EXTERNAL"),
        ("*.txt", "whatever.txt", {"instrument": "SPY.ARCA", "bar": "1-DAY-LAST"}, "SPY.ARCA-1-DAY-LAST-EXTERNAL"),
    ],
)
def test_names_say_what_files_hold(pattern: str, name: str, more: dict[str, str], series: str) -> None:
    assert str(series_by(pattern, name, **more)) == series


@pytest.mark.parametrize("name", ["AAPL.NASDAQ-1-MINUTE-LAST.csv.bak", "AAPL-1-MINUTE-LAST.csv", "AAPL.NASDAQ-1-LIGHTYEAR-LAST.csv", "x.csv"])
def test_names_that_do_not_fit_say_nothing(name: str) -> None:
    assert series_by("{instrument}-{bar}.csv", name) is None


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [
        ('{pattern: "{symbol}.csv", bar: 1-DAY-LAST}', "does not say which instrument"),
        ('{pattern: "{instrument}.csv"}', "does not say which bars"),
        ('{pattern: "{instrument}-{bar}.csv", on_conflict: ask}', "on_conflict"),
    ],
)
def test_a_rule_that_cannot_be_meant_names_its_line(tmp_path: Path, rule: str, mistake: str) -> None:
    path = tmp_path / "inbox.yaml"
    path.write_text(f"rules:\n  - {rule}\n")
    with pytest.raises(ConfigurationError, match=r"inbox\.yaml, line 2") as caught:
        read_rules(path)
    assert mistake in str(caught.value)


def test_a_sidecar_wins_over_rules(inbox: Inbox) -> None:
    (inbox.folder / f"{NAME}.yaml").write_text('instrument: "MSFT.NASDAQ"\nbar: 5-MINUTE-LAST\n')
    assert meaning_of(inbox.folder / NAME, inbox.rules, ()).series == Series.of("MSFT.NASDAQ", "5-MINUTE-LAST")


def test_a_file_that_nothing_speaks_of_says_what_to_write(inbox: Inbox) -> None:
    with pytest.raises(UsageError, match=r"Write x\.csv\.yaml with:\n\ninstrument: AAPL\.NASDAQ\nbar: 1-MINUTE-LAST"):
        meaning_of(inbox.folder / "x.csv", inbox.rules, ())


def test_complete_is_what_nobody_changes_or_writes(tmp_path: Path) -> None:
    old = time.time() - 60
    for name in ("done.csv", "half.csv.part", "young.csv", "open.csv", ".hidden.csv", "done.csv.yaml"):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (old, old))
    os.utime(tmp_path / "young.csv")
    with (tmp_path / "open.csv").open("a"):
        looked = look_into(tmp_path, 10, time.time_ns())
    assert looked.ready == ("done.csv",)
    assert {one.name: one.why for one in looked.waiting} == {
        "half.csv.part": "its name says that it is not finished",
        "young.csv": "it changed 0 s ago",
        "open.csv": "another process is writing it",
    }
    assert look_into(tmp_path, 10, time.time_ns(), looked.sizes).ready == ("done.csv", "open.csv", "young.csv")


def test_a_good_file_goes_to_done_with_its_sidecar(catalog: Catalog, inbox: Inbox) -> None:
    (inbox.folder / f"{NAME}.yaml").write_text(
        'instrument: "AAPL.NASDAQ"\nbar: 1-MINUTE-LAST\ntime_zone: America/New_York\nstamp: open\naccept_holes: true\n'
    )
    (done,) = dealt_with(catalog, inbox)
    assert (done.what, done.series) == ("imported", AAPL)
    assert done.report is not None
    assert done.report.bars_written == 2
    assert sorted(path.name for path in (inbox.folder / "done").iterdir()) == [NAME, f"{NAME}.yaml"]
    assert [row.rows for row in catalog.sessions(AAPL)] == [2]


def test_a_content_is_never_imported_twice_and_no_file_is_lost_to_a_name(catalog: Catalog, inbox: Inbox) -> None:
    dealt_with(catalog, inbox)
    before = catalog.sessions(AAPL)
    (inbox.folder / NAME).write_text(_ROWS)
    (again,) = dealt_with(catalog, inbox)
    assert (again.what, again.report) == ("imported before", None)
    assert catalog.sessions(AAPL) == before
    kept = sorted(path.name for path in (inbox.folder / "done").iterdir())
    assert len(kept) == 2
    assert kept[0].startswith("20")
    assert kept[0].endswith(f"-{NAME}")


def test_a_bad_file_lies_beside_a_report_that_says_what_mends_it(catalog: Catalog, inbox: Inbox) -> None:
    (inbox.folder / NAME).write_text(_ROWS.replace("10.20", "9.00", 1))
    (done,) = dealt_with(catalog, inbox)
    assert done.rejected
    assert done.moved_to == inbox.folder / "rejected" / NAME
    report = (inbox.folder / "rejected" / f"{NAME}.report.txt").read_text()
    assert "reason   BadRows" in report
    assert "1 of 2 rows is bad" in report
    assert "line 2" in report
    assert f"mdp import-csv {done.moved_to} --instrument AAPL.NASDAQ --bar 1-MINUTE-LAST --catalog {catalog.root}" in report
    assert "--timezone America/New_York --stamp open --skip-bad-rows --accept-holes" in report
    assert f"mv {done.moved_to} {inbox.folder}/" in report


def test_one_bad_file_does_not_stop_the_others(catalog: Catalog, inbox: Inbox) -> None:
    (inbox.folder / "who.csv").write_text("what")
    assert [one.what for one in dealt_with(catalog, inbox, "who.csv", NAME, "gone.csv")] == ["rejected", "imported"]


def test_a_conflict_is_rejected_unless_the_rule_says_what_to_do(catalog: Catalog, inbox: Inbox) -> None:
    dealt_with(catalog, inbox)
    (inbox.folder / NAME).write_text(_ROWS.replace(",7\n", ",8\n"))
    (done,) = dealt_with(catalog, inbox)
    assert done.rejected
    assert "--on-conflict merge --prefer file" in (inbox.folder / "rejected" / f"{NAME}.report.txt").read_text()


def test_a_locked_series_is_tried_again_later(catalog: Catalog, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use_case, "_WAIT_S", 0.0)
    old = time.time() - 60
    os.utime(inbox.folder / NAME, (old, old))
    key = look_into(inbox.folder, 10, time.time_ns()).key
    with series_lock(catalog.layout, AAPL.folder, 0):
        (done,) = dealt_with(catalog, inbox)
    assert done.what == "left"
    assert (inbox.folder / NAME).is_file()
    soon, later = (look_into(inbox.folder, 10, time.time_ns() + minutes * 60_000_000_000) for minutes in (1, 6))
    assert soon.ready == ()
    assert "tried again every 5 minutes: Another process is writing" in soon.waiting[0].why
    assert later.ready == (NAME,)
    assert later.key != key


def test_only_one_process_is_at_an_inbox(catalog: Catalog, inbox: Inbox) -> None:
    with FileLock(inbox.folder / LOCK), pytest.raises(SeriesLocked, match="Another process is importing"):
        dealt_with(catalog, inbox)


def test_what_was_imported_and_not_moved_is_only_moved(catalog: Catalog, inbox: Inbox) -> None:
    """The process died between the journal and the move."""
    done_folder = inbox.folder / "done"
    done_folder.write_text("in the way")
    (first,) = dealt_with(catalog, inbox)
    assert first.what == "left"
    done_folder.unlink()
    (second,) = dealt_with(catalog, inbox)
    assert (second.what, second.report) == ("imported before", None)
    assert (done_folder / NAME).is_file()


def test_a_file_over_which_three_processes_died_is_rejected(catalog: Catalog, inbox: Inbox) -> None:
    for _ in range(3):
        InboxJournal(inbox.folder).begin(identity_of(inbox.folder / NAME))
    (done,) = dealt_with(catalog, inbox)
    assert done.rejected
    assert "3 processes died over" in str(done.error)


def test_a_dry_run_reads_all_and_leaves_no_trace(catalog: Catalog, inbox: Inbox) -> None:
    (done,) = dealt_with(catalog, inbox, run=Run.DRY)
    assert done.what == "would be imported"
    assert done.report is not None
    assert done.report.bars_written == 2
    assert not catalog.root.exists()
    assert [path.name for path in inbox.folder.iterdir()] == [NAME]
