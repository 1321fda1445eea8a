"""Who reads a series: locks of ours, and files that others open."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from market_data_pipeline.catalog.layout import CatalogLayout
from market_data_pipeline.catalog.readers import OpenWatch, reading, without_readers

linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux'")


def read_until_killed(root: Path, begun: Event) -> None:
    """Hold a reader's lock for ever."""
    with reading(CatalogLayout(root), ["A"]):
        begun.set()
        multiprocessing.Event().wait()


def test_readers_share_and_keep_a_switch_away(tmp_path: Path) -> None:
    layout = CatalogLayout(tmp_path)
    with reading(layout, ["A", "B"]), reading(layout, ["A"]):
        for folder, free in (("A", False), ("B", False), ("C", True)):
            with without_readers(layout, folder) as nobody:
                assert nobody is free
    with without_readers(layout, "A") as nobody:
        assert nobody


def test_the_lock_of_a_killed_reader_is_free(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    reader = context.Process(target=read_until_killed, args=(tmp_path, begun))
    reader.start()
    assert begun.wait(60)
    with without_readers(CatalogLayout(tmp_path), "A") as nobody:
        assert not nobody
    reader.kill()
    reader.join()
    with without_readers(CatalogLayout(tmp_path), "A") as nobody:
        assert nobody


def test_reading_a_catalog_that_cannot_be_written_takes_no_lock(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be made below a file")
    with reading(CatalogLayout(tmp_path / "file"), ["A"]):
        assert (tmp_path / "file").is_file()


@linux
def test_files_that_others_open_are_heard(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    with OpenWatch(tmp_path) as watch:
        (tmp_path / "a").read_text()
        os.link(tmp_path / "a", tmp_path / "c")  # no opening
        assert not watch.opened(["a", "b"], 0)
        (tmp_path / "b").read_text()
        assert watch.opened(["a"], 0)
    with OpenWatch(tmp_path) as watch:
        assert [path.name for path in sorted(tmp_path.iterdir())] == ["a", "b", "c"]
        assert watch.opened(["a", "b", "c"], 0)  # a query lists before it opens
