"""A process that lets Nautilus read instrument files, named on stdin one a line, and answers each with a line of JSON.

It may be ended by any of them: whoever started it then knows by the number of answers which one it was.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from market_data_pipeline.catalog.instrument_files import instrument_in, table_of
from market_data_pipeline.domain.errors import CorruptFile


def _error_of(path: Path) -> str:
    try:
        table_of(instrument_in(path))
    except CorruptFile as error:
        return str(error).removeprefix(f"{path}: ").partition(". Remove it")[0]
    except Exception as error:  # noqa: BLE001 - whatever Nautilus raises is an answer about the file
        return f"{type(error).__name__}: {error}"[:300]
    return ""


if __name__ == "__main__":
    for line in sys.stdin.read().splitlines():
        print(json.dumps({"error": _error_of(Path(line))}), flush=True)  # noqa: T201 - this is how it answers
