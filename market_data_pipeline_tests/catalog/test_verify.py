"""Bad files of every kind: found, moved to quarantine, reported; Nautilus reads the rest, and no process aborts."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.verify import Problem
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import ConflictingBars
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.domain.source import Precision
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    EURUSD,
    MONDAY,
    TUESDAY,
    answer,
    files_of,
    nautilus_reads,
    put_wide,
    regular,
    store,
    what_stands,
    writing,
)
from market_data_pipeline_tests.catalog.test_bar_format import content_of, raw_table


def bad(catalog: Catalog) -> list[Problem]:
    return [problem for problem in catalog.verify().problems if problem.kind == "bad file"]


def footer_of(content: bytes) -> int:
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def zero_length(path: Path) -> None:
    path.write_bytes(b"")


def of_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def wrong_schema(path: Path) -> None:
    pq.write_table(pa.table({"price": [1.0, 2.0]}), path)


def of_another_series(path: Path) -> None:
    path.write_bytes(content_of(raw_table([10**16], bar_type="MSFT.NASDAQ-1-MINUTE-LAST-EXTERNAL", instrument_id="MSFT.NASDAQ")))


def of_another_precision(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"price_precision": b"4"}), path)


def of_eight_bytes(path: Path) -> None:
    path.write_bytes(content_of(raw_table([10**9], width=8)))


def backwards(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.take(list(range(len(table)))[::-1]), path)


def beyond_nautilus(path: Path) -> None:
    path.write_bytes(content_of(raw_table([17_014_118_346_047 * 10**16])))


def of_another_day(path: Path) -> None:
    shutil.copy(path.parent / max(file.name for file in path.parent.iterdir()), path)


DAMAGES = [
    truncated,
    cut_in_half,
    zero_length,
    of_zeros,
    wrong_schema,
    of_another_series,
    of_another_precision,
    of_eight_bytes,
    backwards,
    beyond_nautilus,
    of_another_day,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_file_is_moved_away_and_told(week: Catalog, damage: Callable[[Path], None]) -> None:
    before = what_stands(week)
    file = files_of(week)[1]
    damage(file)
    (problem,) = bad(week)
    assert problem.subject == str(file.relative_to(week.root))
    assert "load again: 2024-02-06; mdp import-csv FILE --instrument AAPL.NASDAQ --bar 1-MINUTE-LAST" in problem.action
    moved = week.root / problem.action.split(";")[0].removeprefix("moved to ")
    assert moved.is_file()
    assert not moved.name.endswith(".parquet")
    report = json.loads(moved.with_name(moved.name + ".json").read_text())
    assert report["sessions"] == ["2024-02-06"]
    assert report["file"] == problem.subject
    assert report["reason"] == problem.detail
    assert str(week.root) not in problem.detail
    found = week.availability(AAPL)
    assert found is not None
    assert found.gaps == (SessionRange(TUESDAY, TUESDAY, 1),)
    assert nautilus_reads(week.root) == (1560, 1560, True)
    store(week, answer(AAPL, TUESDAY))
    assert bad(week) == []
    assert what_stands(week) == before


def test_every_flipped_byte_is_found(catalog: Catalog) -> None:
    """One byte in forty of a file, header to footer: Arrow forgives some of them, Nautilus aborts on some of those."""
    store(catalog, answer(AAPL, MONDAY, regular(AAPL, MONDAY).slice(0, 60)), answer(AAPL, TUESDAY))
    file = files_of(catalog)[0]
    good = file.read_bytes()
    places = sorted({*range(0, len(good), 40), footer_of(good) - 1, footer_of(good), len(good) - 5, len(good) - 1})
    assert {place < footer_of(good) for place in places} == {True, False}
    for place in places:
        content = bytearray(good)
        content[place] ^= 0x01
        file.write_bytes(content)
        (problem,) = bad(catalog)
        assert problem.subject.endswith(file.name), place
        found = catalog.availability(AAPL)
        assert found is not None
        assert found.first_session == TUESDAY
        shutil.rmtree(catalog.layout.quarantine)
        file.write_bytes(good)
        assert catalog.availability(AAPL) != found
    assert nautilus_reads(catalog.root) == (450, 450, True)


def test_a_disk_that_changes_bytes_without_a_trace_is_found_out(week: Catalog) -> None:
    """The same size and time as when it was stored, but other bytes where a checksum does not look."""
    file = files_of(week)[1]
    before = file.stat()
    content = bytearray(file.read_bytes())
    place = content.index(b"parquet-cpp-arrow")
    content[place] = ord("q")
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    (problem,) = bad(week)
    assert "its bytes are not those that were stored" in problem.detail


@pytest.mark.parametrize("name", ["backup.parquet", "2024-02-06.parquet", "2024-13-06T01-00-00-000000001Z_2024-13-07T01-00-00-000000000Z.parquet"])
def test_a_file_of_a_foreign_name_is_moved_away(week: Catalog, name: str) -> None:
    file = files_of(week)[0]
    shutil.copy(file, file.with_name(name))
    (problem,) = bad(week)
    assert (problem.subject, problem.detail) == (
        str((file.parent / name).relative_to(week.root)),
        "its name is no pair of time stamps, on which Nautilus stops",
    )
    assert nautilus_reads(week.root) == (1950, 1950, True)


def test_odd_things_of_a_good_name_are_moved_away(week: Catalog) -> None:
    files = files_of(week)
    for number, file in enumerate(files[:3]):
        file.unlink()
        if number == 0:
            file.mkdir()
        elif number == 1:
            file.symlink_to(week.root / "gone")
        else:
            os.mkfifo(file)
    assert [problem.detail for problem in bad(week)] == ["is no regular file"] * 3
    assert nautilus_reads(week.root) == (780, 780, True)


def test_overlapping_files_do_not_come_twice(week: Catalog) -> None:
    part = put_wide(week, regular(AAPL, TUESDAY).slice(0, 50))
    (problem,) = bad(week)
    assert problem.subject == str(part.relative_to(week.root))
    assert nautilus_reads(week.root) == (1950, 1950, True)


def test_several_bad_files_in_several_series(week: Catalog) -> None:
    store(week, answer(EURUSD, MONDAY), answer(EURUSD, TUESDAY), series=EURUSD)
    truncated(files_of(week)[1])
    zero_length(files_of(week)[3])
    wrong_schema(files_of(week, EURUSD)[0])
    told: list[tuple[Series, int, int]] = []
    report = week.verify(progress=lambda *step: told.append(step))
    assert told == [(AAPL, 0, 2), (EURUSD, 1, 2)]
    assert (report.series, report.files) == (2, 7)
    assert [problem.kind for problem in report.problems] == ["bad file", "bad file", "orphan bars", "bad file", "orphan bars"]
    assert nautilus_reads(week.root) == (1170 + 95, 1170 + 95, True)


def test_only_what_was_asked_for_is_verified(week: Catalog) -> None:
    store(week, answer(EURUSD, MONDAY), series=EURUSD)
    truncated(files_of(week)[1])
    assert [problem.kind for problem in week.verify([EURUSD]).problems] == ["orphan bars"]


def test_a_series_of_which_no_file_can_be_read(catalog: Catalog) -> None:
    """Nor does the ledger know it: the folder's files are moved away all the same."""
    folder = catalog.layout.series_folder(AAPL)
    folder.mkdir(parents=True)
    (folder / "2024-02-06T01-00-00-000000001Z_2024-02-07T01-00-00-000000000Z.parquet").write_bytes(b"torn")
    assert catalog.series() == []
    assert [problem.kind for problem in catalog.verify().problems] == ["bad file"]
    assert [*folder.iterdir()] == []


def test_bars_of_kinds_that_are_not_ours_are_left_alone(week: Catalog) -> None:
    """Nautilus stores bars that it made itself, and bars of ticks; they are no damage."""
    folder = week.layout.bars / "AAPL.NASDAQ-100-TICK-LAST-INTERNAL"
    folder.mkdir()
    file = folder / "2024-02-06T01-00-00-000000001Z_2024-02-07T01-00-00-000000000Z.parquet"
    file.write_bytes(content_of(raw_table([10**16], bar_type="AAPL.NASDAQ-100-TICK-LAST-INTERNAL")))
    report = week.verify()
    assert [(problem.kind, problem.action) for problem in report.problems][1:] == [("unknown bars", "left untouched")]
    assert file.exists()


def test_a_series_that_is_being_written_is_told(week: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Catalog.reconcile, "__defaults__", (0.05,))
    with writing(week):
        assert [problem.kind for problem in Catalog.open(week.root).verify().problems] == ["locked"]


def test_a_real_catalog_of_eight_bytes_is_left_untouched(market_data: Path, tmp_path: Path) -> None:
    shutil.copytree(market_data / "legacy-catalog-fx", tmp_path / "fx")
    catalog = Catalog.open(tmp_path / "fx")
    before = {path: path.read_bytes() for path in sorted((tmp_path / "fx").rglob("*.parquet"))}
    report = catalog.verify()
    assert [(problem.kind, problem.subject) for problem in report.problems] == [
        ("legacy prices", "EUR/USD.IDEALPRO-1-DAY-MID-EXTERNAL"),
        ("legacy prices", "EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL"),
    ]
    found = catalog.availability(EURUSD)
    assert found is not None
    assert found.stored == 0
    assert len(found.bad_files) == 3
    with pytest.raises(ConflictingBars, match=r"holds 8-byte prices of an older Nautilus, which cannot stand beside new ones. Nothing was changed"):
        store(catalog, answer(EURUSD, MONDAY), series=EURUSD, precision=Precision(5, 2))
    assert {path: path.read_bytes() for path in sorted((tmp_path / "fx").rglob("*.parquet"))} == before


def test_a_real_catalog_without_instruments_is_orphaned(market_data: Path, tmp_path: Path) -> None:
    """Two AAPL files overlap; the smaller is moved away, and bars without a definition are told."""
    shutil.copytree(market_data / "legacy-catalog-us", tmp_path / "us")
    catalog = Catalog.open(tmp_path / "us")
    report = catalog.verify()
    assert sorted((problem.kind, problem.subject.split("/")[-1].split("-")[0][:5]) for problem in report.problems) == [
        ("bad file", "2023"),
        ("orphan bars", "AAPL."),
        ("orphan bars", "GOOGL"),
        ("orphan bars", "MSFT."),
    ]
    count, closes, in_order = nautilus_reads(tmp_path / "us", "AAPL.NASDAQ-1-DAY-LAST-EXTERNAL")
    assert (count, in_order) == (closes, True)
    assert bad(catalog) == []


def test_verify_twice_says_the_same(week: Catalog) -> None:
    truncated(files_of(week)[1])
    assert len(bad(week)) == 1
    stands = what_stands(week)
    assert bad(week) == []
    assert what_stands(week) == stands
    with sqlite3.connect(week.root / "ledger.sqlite") as connection:
        assert connection.execute("SELECT COUNT(*) FROM sessions").fetchone() == (4,)
    connection.close()
