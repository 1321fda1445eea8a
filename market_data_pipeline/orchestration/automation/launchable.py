"""What of a universe can be launched: Dagster refuses to make a run of partitions that the loaded code does not have."""

from __future__ import annotations

import datetime as dt

from market_data_pipeline.watchlist import Universe

RELOAD = "click Reload definitions (Deployment, Code locations), and they follow"


def launchable(written: Universe, loaded: Universe) -> Universe:
    """Return a universe as it is written, between the first and last session that it had when the code was loaded.

    Instruments are no part of that: they are dynamic partitions.
    """
    last = min(loaded.end or dt.date.max, written.end or dt.date.max)
    return written.model_copy(update={"start": max(loaded.start, written.start), "end": None if last == dt.date.max else last})


def beyond(name: str, written: Universe, loaded: Universe) -> str:
    """Return in words which sessions wait for the code to be loaded again; empty if none does."""
    found = []
    if written.start < loaded.start:
        found.append(f"sessions of {name} from {written.start} to before {loaded.start}")
    if loaded.end is not None and (written.end or dt.date.max) > loaded.end:
        found.append(f"sessions of {name} after {loaded.end}")
    return f"{' and '.join(found)}: {RELOAD}" if found else ""
