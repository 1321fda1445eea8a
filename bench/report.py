"""The table that is printed, and the files that are kept."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.lines import Line

_PACKAGES = ("nautilus_trader", "pyarrow", "numpy", "pandas", "dagster")


def machine() -> dict[str, str]:
    """Return what the figures were taken on."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return {
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "packages": versions,
        "load at the start": load,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }


def as_text(seconds: float | None) -> str:
    """Return a time as a person reads it."""
    if seconds is None:
        return ""
    return f"{seconds * 1_000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def verdict(line: Line) -> str:
    """Return whether the goal was reached."""
    return "" if line.met is None else "met" if line.met else "MISSED"


def rows_of(name: str, lines: Sequence[Line]) -> list[list[str]]:
    """Return the cells of a benchmark's lines."""
    return [
        [
            name,
            line.work,
            as_text(line.ours_s),
            line.peer,
            as_text(line.peer_s),
            f"{line.ratio:.2f}" if line.ratio else "",
            line.goal,
            verdict(line),
            line.note,
        ]
        for line in lines
    ]


HEADER = ["", "work", "ours", "peer", "peer's", "peer / ours", "goal", "", "note"]


def write(folder: Path, name: str, about: dict[str, str], results: dict[str, list[Line]]) -> None:
    """Write the results as JSON and as Markdown, in files of this name."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"machine": about, "results": {name: [{**asdict(line), "ratio": line.ratio} for line in lines] for name, lines in results.items()}}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    rows = [row for name, lines in results.items() for row in rows_of(name, lines)]
    table = ["| " + " | ".join(cells) + " |" for cells in [HEADER, ["---"] * len(HEADER), *rows]]
    lines = ["# Benchmarks", "", *(f"- {name}: {value}" for name, value in about.items()), "", *table]
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n")
