"""What lies in quarantine, and why: the reports beside the files that were moved there."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from market_data_pipeline.catalog.layout import CatalogLayout
from market_data_pipeline.domain.bar_types import Series

_REPORTS = "*.quarantined.json"


@dataclass(frozen=True)
class QuarantinedFile:
    """A file that was moved out of the catalog.

    Attributes:
        name: Where it stood, below the catalog's folder.
        report: The report in quarantine; the file lies beside it.
        reason: What is wrong with it.
        sessions: Sessions that had no bars any more when it was moved, oldest first.
    """

    name: str
    report: Path
    reason: str
    sessions: tuple[dt.date, ...]


def quarantined_files(layout: CatalogLayout, series: Series) -> Iterator[QuarantinedFile]:
    """Yield the files of a series that lie in quarantine, the oldest first.

    A report that cannot be read is passed over, and one whose file was not moved: its writer was killed, and the next writes one anew.
    """
    for report in sorted((layout.quarantine / series.folder).glob(_REPORTS)):
        if not report.with_suffix("").exists():
            continue
        try:
            said = json.loads(report.read_text())
            sessions = tuple(sorted(dt.date.fromisoformat(day) for day in said["sessions"]))
            yield QuarantinedFile(str(said["file"]), report, str(said["reason"]), sessions)
        except (OSError, ValueError, KeyError, TypeError):
            continue
