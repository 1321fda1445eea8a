"""What a catalog notices while it is asked for something else, told on stderr as a note."""

from __future__ import annotations

import logging
import sys
from functools import cache

from market_data_pipeline.cli.output import note, paint


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        note(f"{paint('note', 'yellow', sys.stderr)}: {record.getMessage()}")


@cache
def tell_catalog_notes() -> None:
    """Tell the catalog's warnings from now on."""
    logging.getLogger("market_data_pipeline.catalog").addHandler(_Notes(logging.WARNING))
