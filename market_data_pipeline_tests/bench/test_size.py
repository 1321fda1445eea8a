"""The benchmark of size, at a size that takes seconds: does every step of it still run, and does it say what it measured?"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.lines import Line
from bench.size import growth
from bench.size.child import run
from bench.size.growth import Growth
from bench.size.measure import PICTURE, measure
from bench.size.picture import draw
from bench.size.scale import Scale

# December 2023 had 20 NYSE sessions of 390 minutes (NYSE holiday calendar 2023: the 25th is the only holiday).
_DECEMBER = dt.date(2023, 12, 1), dt.date(2023, 12, 29)
_TINY = Scale(*_DECEMBER, symbols=2, year=_DECEMBER, growing=(1, 2, 3), growing_first=dt.date(2023, 12, 18), growing_last=_DECEMBER[1], rounds=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_step_runs_and_says_what_it_measured(tmp_path: Path) -> None:
    works = {line.work: line for line in measure(tmp_path, _TINY)}
    for said in (
        "import of one symbol's CSV, 7,800 rows",
        "availability of all: 40 sessions, gaps included",
        "15,600 bars of all 2 symbols to checked columns",
        "7,800 bars of one symbol to Bar objects, in chunks",
        "verify: 40 files",
        # Nine sessions of the 18th to the 29th, without the 25th.
        "verify of all: 3 symbols of 9 sessions (3,510 bars) each",
    ):
        assert said in works
    assert all(line.ours_s > 0 for line in works.values())
    assert "memory at its fullest: ours " in works["verify: 40 files"].note
    with Image.open(tmp_path / PICTURE) as picture:
        assert picture.size == (900, 520)


def test_a_process_is_charged_for_its_own_memory_alone() -> None:
    ours = bytearray(300_000_000)
    ours[::4096] = b"x" * len(ours[::4096])
    small = run([sys.executable, "-S", "-c", "print('done')"])
    large = run([sys.executable, "-S", "-c", "b = bytearray(200_000_000); b[::4096] = b'x' * len(b[::4096])"])
    assert small.output == "done"
    assert small.peak < 100_000_000
    assert large.peak > 200_000_000
    del ours


def test_a_process_that_fails_says_its_last_words() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        run([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_a_cost_is_called_flat_or_proportional_by_its_power() -> None:
    grown = Growth((1, 10, 100), 251, 97_140, {growth.IMPORT: [1.0, 10.0, 100.0], growth.SESSION: [0.004, 0.004, 0.004]})
    imported, session = growth.lines(grown)
    assert _what(imported) == ("import of all, a CSV file each: 100 symbols of 251 sessions (97,140 bars) each", 100.0, 1.0, True)
    assert imported.note == "10 symbols 10.00 s; grows as symbols to the power of 1.00"
    assert session.note == "10 symbols 4.0 ms; grows as symbols to the power of 0.00"
    assert session.met
    slower = Growth((1, 10, 100), 251, 97_140, {growth.SESSION: [0.004, 0.005, 0.007]})
    assert [line.met for line in growth.lines(slower)] == [False]


def test_names_in_the_picture_do_not_cover_each_other(tmp_path: Path) -> None:
    works = (growth.IMPORT, growth.VERIFY, growth.YEAR, growth.SESSION, growth.CHECK, growth.HELP)
    seconds = {**{work: [0.1, 0.1, 0.1] for work in works}, growth.IMPORT: [1.0, 10.0, 100.0], growth.SESSION: [0.003, 0.003, 0.003]}
    (tmp_path / PICTURE).write_bytes(draw(Growth((1, 10, 100), 251, 97_140, seconds)))
    with Image.open(tmp_path / PICTURE) as picture:
        ink = picture.convert("L").point(lambda grey: grey < 100).crop((590, 60, 900, 470))
        filled = np.asarray(ink).any(axis=1)
    assert int((~filled[:-1] & filled[1:]).sum()) >= len(works)


def _what(line: Line) -> tuple[str, float, float | None, bool | None]:
    return line.work, line.ours_s, line.peer_s, line.met
