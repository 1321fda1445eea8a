"""Under which convention the bars of a series' folder were asked for, in a small file beside them.

Bars do not show whether they are regular hours only, or adjusted. The ledger knows, but it can be lost, and a process can be killed before it
tells the ledger. Nautilus reads `.parquet` only, so the file is in nobody's way; a series of all hours and raw prices needs none.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from market_data_pipeline.catalog.bar_format import write_atomically
from market_data_pipeline.domain.coverage import Convention
from market_data_pipeline.domain.errors import CorruptFile

NAME = "convention.json"
_HOURS = ("all", "rth")


def convention_of(folder: Path) -> Convention:
    """Return the convention of a series' folder.

    Raises:
        CorruptFile: If its file cannot be read, or says something else.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Convention(hours=_HOURS[_HOURS.index(content["hours"])], adjustment=str(content["adjustment"]))
    except FileNotFoundError:
        return Convention()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptFile(
            f"{path}: cannot be read ({type(error).__name__}), so nobody knows which hours and prices the bars beside it are. "
            f"Write what they are, for example {json.dumps(asdict(Convention('rth', 'split')))}"
        ) from None


def keep_convention(folder: Path, convention: Convention) -> None:
    """Write the convention of a folder that exists, before the first of its bars; nothing is written where it says so already."""
    if convention == Convention():
        (folder / NAME).unlink(missing_ok=True)
    elif not (folder / NAME).exists() or convention_of(folder) != convention:
        write_atomically(folder, NAME, f"{json.dumps(asdict(convention))}\n".encode())
