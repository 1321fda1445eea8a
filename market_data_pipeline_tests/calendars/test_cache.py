from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from market_data_pipeline.calendars import cache
from market_data_pipeline.calendars.published import published_calendar
from market_data_pipeline.domain.sessions import CALENDAR_ARRAYS, SessionCalendar

ROOT = Path(__file__).parents[2]

ASK = """
import sys, datetime as dt
from market_data_pipeline.calendars import calendar_of_venue, calendar_named, partitions_of
{ask}
print(sorted(name for name in ("pandas", "pandas_market_calendars", "exchange_calendars", "pyarrow", "nautilus_trader") if name in sys.modules))
"""
JANUARY = "print(len(calendar_of_venue('NASDAQ').days_between(dt.date(2024, 1, 1), dt.date(2024, 1, 31))))"


@pytest.fixture(scope="module")
def nyse() -> SessionCalendar:
    return published_calendar("NYSE", 2028)


def ask_a_new_process(ask: str, **environment: str) -> list[str]:
    code = ASK.format(ask=ask)
    run = subprocess.run([sys.executable, "-c", code], env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    return run.stdout.split("\n")[:-1]


def same(one: SessionCalendar, other: SessionCalendar) -> bool:
    arrays = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in CALENDAR_ARRAYS)
    return arrays and (one.name, one.time_zone) == (other.name, other.time_zone)


def test_import_fx_and_crypto_need_no_pandas(tmp_path: Path) -> None:
    assert ask_a_new_process("", XDG_CACHE_HOME=str(tmp_path)) == ["[]"]
    assert ask_a_new_process("calendar_named('FX'); calendar_of_venue('KRAKEN')", XDG_CACHE_HOME=str(tmp_path)) == ["[]"]
    assert not list(tmp_path.iterdir())


def test_the_second_process_needs_no_pandas_and_gives_the_same_answer(tmp_path: Path) -> None:
    first = ask_a_new_process(JANUARY, XDG_CACHE_HOME=str(tmp_path))
    second = ask_a_new_process(JANUARY, XDG_CACHE_HOME=str(tmp_path))
    assert first[0] == second[0] == "21"
    assert "pandas" in first[1]
    assert second[1] == "[]"
    assert [file.suffix for file in (tmp_path / "nautilus-market-data-pipeline" / "calendars").iterdir()] == [".npz"]


def test_without_xdg_the_cache_is_below_the_home_folder(tmp_path: Path) -> None:
    ask_a_new_process(JANUARY, XDG_CACHE_HOME="", HOME=str(tmp_path))
    assert len(list((tmp_path / ".cache" / "nautilus-market-data-pipeline" / "calendars").glob("NYSE-*.npz"))) == 1


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("a file where the folder would be")
    assert ask_a_new_process(JANUARY, XDG_CACHE_HOME=str(in_the_way))[0] == "21"
    assert in_the_way.read_text() == "a file where the folder would be"


def test_what_is_written_is_read_back(tmp_path: Path, nyse: SessionCalendar) -> None:
    file = tmp_path / "new" / "nyse.npz"
    cache.write_cached(file, nyse)
    found = cache.read_cached(file, "NYSE")
    assert found is not None
    assert same(found, nyse)
    assert [path.name for path in file.parent.iterdir()] == ["nyse.npz"]


def test_a_damaged_cache_is_never_believed(tmp_path: Path, nyse: SessionCalendar) -> None:
    """Cuts and flipped bytes at the head, in the directory at the end and between: nothing is read, or what was written."""
    file = tmp_path / "nyse.npz"
    cache.write_cached(file, nyse)
    whole = file.read_bytes()
    edges = [*range(120), *range(len(whole) - 240, len(whole))]
    inner = np.linspace(120, len(whole) - 240, 40, dtype=int).tolist()
    believed, tried = 0, 0
    for at in edges + inner:
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :]):
            file.write_bytes(damaged)
            found = cache.read_cached(file, "NYSE")
            believed, tried = believed + (found is not None), tried + 1
            assert found is None or same(found, nyse), at
    assert tried == 800
    assert believed < tried / 2  # time stamps and attributes of the archive say nothing of the table


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04N.", b"[]"])
def test_a_file_of_another_kind_is_ignored(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "nyse.npz"
    file.write_bytes(content)
    assert cache.read_cached(file, "NYSE") is None
    assert cache.read_cached(tmp_path, "NYSE") is None
    assert cache.read_cached(tmp_path / "absent.npz", "NYSE") is None


def test_a_table_of_another_form_is_ignored(tmp_path: Path, nyse: SessionCalendar) -> None:
    table = np.stack([getattr(nyse, name) for name in CALENDAR_ARRAYS])
    for wrong in (table[:6], table.astype(np.float64), table[:, ::-1], table[:, :1], table[0]):
        with (tmp_path / "nyse.npz").open("wb") as out:
            np.savez(out, time_zone=np.array("America/New_York"), table=wrong)
        assert cache.read_cached(tmp_path / "nyse.npz", "NYSE") is None


def test_a_new_library_a_new_year_and_a_new_format_are_new_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    files = {cache.cache_file("NYSE", 2028), cache.cache_file("CME", 2028), cache.cache_file("NYSE", 2029)}
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    files.add(cache.cache_file("NYSE", 2028))
    monkeypatch.setattr(cache, "version", lambda _: "99.0")
    files.add(cache.cache_file("NYSE", 2028))
    assert len(files) == 5
    assert all(file is not None and file.is_relative_to(tmp_path) for file in files)


def test_a_relative_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG Base Directory Specification: "All paths … must be absolute. If … relative … consider the path invalid and ignore it"."""
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    file = cache.cache_file("NYSE", 2028)
    assert file is not None
    assert file.is_relative_to(tmp_path / ".cache")
