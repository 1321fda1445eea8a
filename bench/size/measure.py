"""(r) Ten years of twenty symbols, and what grows with the number of symbols; draws `growth.png`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.lines import Line
from bench.size import growth, ten_years
from bench.size.picture import draw
from bench.size.scale import Scale
from bench.size.telling import Figures

PICTURE = "growth.png"


def measure(folder: Path, scale: Scale | None = None) -> Iterator[Line]:
    """Measure both, each step in a process of its own, and leave the picture in the folder."""
    scale = scale or Scale()
    yield from ten_years.measure(folder, scale, Figures("ten years"))
    grown = growth.measure(folder, scale, Figures("growth"))
    (folder / PICTURE).write_bytes(draw(grown))
    yield from growth.lines(grown)
