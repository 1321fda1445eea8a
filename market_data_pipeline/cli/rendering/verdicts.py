"""What a CSV file was taken for, and why."""

from __future__ import annotations

from market_data_pipeline.cli.output import Json
from market_data_pipeline.sources.csv import Verdict

_EXCLUDED_SHOWN = 3


def verdict_lines(verdict: Verdict) -> list[str]:
    """Return the verdict and its evidence, a few lines; what was excluded only where there was something to tell apart."""
    lines = [f"read as {verdict}"]
    lines += [f"  {line}" for line in verdict.evidence]
    lines += [f"  not {line}" for line in verdict.excluded[:_EXCLUDED_SHOWN]]
    lines += [f"  but {line}" for line in verdict.warnings]
    return lines


def verdict_to_json(verdict: Verdict) -> dict[str, Json]:
    """Return the verdict for programs."""
    return {
        "layout": verdict.layout.name,
        "time_zone": verdict.time_zone,
        "stamp": None if verdict.stamp is None else str(verdict.stamp),
        "time_form": verdict.layout.time_form,
        "evidence": list(verdict.evidence),
        "excluded": list(verdict.excluded),
        "warnings": list(verdict.warnings),
    }
