"""A short name for the state of stored sessions, so that what stands on them can tell whether it is up to date."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series

STATE = "bars_state"
"""Metadata of a materialisation: `state_of` the bars that it stands on."""


def state_of(catalog: Catalog, wanted: Iterable[tuple[Series, dt.date | None, dt.date | None]]) -> str:
    """Return 16 hex digits that are equal exactly when coverage and bars of all sessions are, by the ledger; opens no file.

    Args:
        catalog: Where they are stored.
        wanted: Series with the first and last date that count, inclusive; None is without end.
    """
    digest = hashlib.blake2b(digest_size=8)
    for series, start, end in wanted:
        digest.update(f"{series}\n".encode())
        lines = [f"{day},{coverage},{bars},{fingerprint}\n" for day, coverage, bars, fingerprint in catalog.contents(series, start, end)]
        digest.update("".join(lines).encode())
    return digest.hexdigest()
