"""A load that would take hours, though nobody said from where on: asked about where somebody can answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from market_data_pipeline.cli.output import note
from market_data_pipeline.cli.words import count, duration
from market_data_pipeline.domain.errors import QuestionUnanswered
from market_data_pipeline.ingest.from_broker import Prepared

LONG_S = 3_600.0


def confirm_if_long(prepared: Sequence[Prepared], command: str) -> None:
    """Ask whether a load that takes longer than an hour is meant; its requests are those of every process of the account.

    Args:
        prepared: What would be loaded.
        command: The command with a start, for who wants less.

    Raises:
        QuestionUnanswered: If nobody is at the terminal, or the answer is no.
    """
    seconds = sum(one.plan.seconds for one in prepared)
    if seconds <= LONG_S:
        return
    requests = sum(one.plan.requests for one in prepared)
    first = min(one.missing[0] for one in prepared if one.missing)
    what = f"{count(requests, 'request')} from {first} on take about {duration(round(seconds))} at IBKR's rate, and nobody said from where on"
    instead = f"Say from where on: {command} --start YYYY-MM-DD. To load all of it: the same command with --yes."
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise QuestionUnanswered(f"{what}. Nothing was asked for. {instead}")
    sys.stderr.write(f"{what}. Load all of it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        note("")
        raise QuestionUnanswered(f"Nothing was asked for. {instead}")
