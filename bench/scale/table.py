"""`python -m bench.scale.table`: the last results of `./dev bench scale` side by side, as docs/scaling.md shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.report import as_text

_RESULTS = Path(__file__).parents[1] / "results" / "scale.json"


def main() -> None:
    """Print a Markdown table: a row for each piece of work, two columns for each size."""
    content = json.loads(_RESULTS.read_text())
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for line in content["results"]["scale"]:
        size, _, work = line["work"].partition(": ")
        rows.setdefault(work, {})[size] = line
    sizes = list(dict.fromkeys(size for by_size in rows.values() for size in by_size))
    print("| | " + " | ".join(f"{size}, SQLite | {size}, PostgreSQL" for size in sizes) + " | goal | |")
    print("|" + "---|" * (2 * len(sizes) + 3))
    for work, by_size in rows.items():
        lines = [by_size[size] for size in sizes]
        cells = [as_text(line[side]) for line in lines for side in ("ours_s", "peer_s")]
        met = "" if lines[0]["met"] is None else "met" if all(line["met"] for line in lines) else "MISSED"
        print(f"| {work} | {' | '.join(cells)} | {lines[0]['goal'].removesuffix(', both')} | {met} |")
    print()
    for line in content["results"]["scale"]:
        if line["note"]:
            print(f"- {line['work']}: {line['note']}")
    print(content["machine"])


if __name__ == "__main__":
    main()
