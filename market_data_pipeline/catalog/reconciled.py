"""What a reconciliation of ledger and files found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from market_data_pipeline.domain.words import agreeing, count


@dataclass(frozen=True)
class Quarantined:
    """A file that was moved out of the catalog.

    Attributes:
        file: Where it stood.
        moved_to: Where it lies now; a `.json` beside it says the same as this.
        reason: What is wrong with it.
        sessions: Dates that have no bars now because of it.
    """

    file: Path
    moved_to: Path
    reason: str
    sessions: tuple[str, ...]


@dataclass(frozen=True)
class Reconciled:
    """What a reconciliation found.

    Attributes:
        files_checked: Files read.
        bytes_checked: Their bytes.
        drifted: Sessions of which the ledger said something else, or nothing; those that are gone with a bad file not counted.
        quarantined: Bad files that were moved away.
        left: Bad files that were left where they are, as (name, reason).
        gone: Sessions that were stored and have no file any more, though nothing bad was found: somebody removed it.
    """

    files_checked: int
    bytes_checked: int
    drifted: int
    quarantined: tuple[Quarantined, ...]
    left: tuple[tuple[str, str], ...]
    gone: tuple[dt.date, ...] = ()


def gone_words(gone: Sequence[dt.date]) -> str:
    """Return `3 sessions that were stored are gone with their files: 2024-01-03 to 2024-01-05`, and how many, of dates in order."""
    span = str(gone[0]) if len(gone) == 1 else f"{gone[0]} to {gone[-1]}"
    was, are, files = (agreeing(len(gone), *both) for both in (("was", "were"), ("is", "are"), ("its file", "their files")))
    return f"{count(len(gone), 'session')} that {was} stored {are} gone with {files}: {span}"
