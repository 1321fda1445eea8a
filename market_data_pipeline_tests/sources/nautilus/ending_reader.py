"""A reader of instruments that is ended by some files, as Nautilus is: a process that really dies."""

from __future__ import annotations

import json
import os
import sys

for line in sys.stdin.read().splitlines():
    if "ends-it" in line:
        os.abort()
    print(json.dumps({"error": "no instrument" if "refused" in line else ""}), flush=True)  # noqa: T201 - this is how it answers
