"""What is told while a gateway is asked, and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable

from market_data_pipeline.domain.source import NewsKind, SourceNews

logger = logging.getLogger(__name__)

# Shorter waits are the rhythm of the rule "fewer than 6 for one contract in 2 s".
_TOLD_FROM_S = 2.5
_LOUD = frozenset({NewsKind.RETRYING, NewsKind.RECONNECTING})


class News:
    """Tells a listener and the log what is being done, and counts requests for bars.

    Attributes:
        requests: Requests for bars that went out, retries included.
    """

    def __init__(self, listener: Callable[[SourceNews], None] | None = None, seconds_left: Callable[[], float | None] | None = None) -> None:
        self._listener = listener
        self._seconds_left = seconds_left
        self.requests = 0

    def tell(self, kind: NewsKind, message: str, wait_s: float = 0.0) -> None:
        """Tell one thing; a wait too short to notice is not told."""
        if kind is NewsKind.WAITING and wait_s < _TOLD_FROM_S:
            return
        logger.log(logging.WARNING if kind in _LOUD else logging.INFO if kind is not NewsKind.ASKED else logging.DEBUG, "%s", message)
        if self._listener is not None:
            left = self._seconds_left() if self._seconds_left is not None else None
            self._listener(SourceNews(kind, message, self.requests, wait_s, left))

    def asked(self, message: str) -> None:
        """Count a request for bars that goes out now, and tell it."""
        self.requests += 1
        self.tell(NewsKind.ASKED, message)


def in_words(seconds: float) -> str:
    """Return a wait in words: `60 seconds`, `1 second`, `0.25 seconds`."""
    rounded = round(seconds) if seconds >= 10 else round(seconds, 2)
    return f"{rounded:g} second{'' if rounded == 1 else 's'}"
