"""The watchlist as it stands now: a sensor lives in a process that loaded it long ago."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.watchlist import Watchlist, read_watchlist


@dataclass(frozen=True)
class CurrentWatchlist:
    """A watchlist to go by.

    Attributes:
        watchlist: What the file says, or what was loaded where the file is wrong now.
        mistake: What is wrong with the file; None where it was read.
    """

    watchlist: Watchlist
    mistake: str | None = None


def current_watchlist(loaded: Watchlist, path: Path) -> CurrentWatchlist:
    """Return the watchlist of a file; while it is broken, the one that was loaded, with the mistake."""
    try:
        return CurrentWatchlist(read_watchlist(path))
    except ConfigurationError as error:
        return CurrentWatchlist(loaded, str(error))
