"""The report beside a rejected file: why, and the command that mends it."""

from __future__ import annotations

import datetime as dt
import shlex
from pathlib import Path

from market_data_pipeline.domain.errors import BadRows, ConflictingBars, MarketDataError, QuestionUnanswered
from market_data_pipeline.ingest.inbox_rules import Meaning

SUFFIX = ".report.txt"


def report_text(file: Path, inbox: Path, meaning: Meaning | None, error: MarketDataError, catalog: Path) -> str:
    """Return the report.

    Args:
        file: Where the file will lie.
        inbox: The inbox, to which it may be put again.
        meaning: What it was taken for, if that was known.
        error: Why it was not imported; counts and first rows are in its message.
        catalog: The catalog.
    """
    lines = [f"{file.name} was not imported. Nothing of it is stored.", "", f"when     {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"]
    if meaning is not None:
        lines += [f"held     {meaning.series} (said by {meaning.said_by})"]
    lines += [f"reason   {type(error).__name__}", "", str(error), "", "What mends it:", ""]
    if meaning is not None:
        lines += [f"  {command(file, meaning, error, catalog)}", "", "or correct the file, and put it into the inbox again:", ""]
    return "\n".join([*lines, f"  mv {shlex.quote(str(file))} {shlex.quote(str(inbox))}/", ""])


def command(file: Path, meaning: Meaning, error: MarketDataError, catalog: Path) -> str:
    """Return the command that imports a rejected file, with the option that lets it in."""
    how, series = meaning.how, meaning.series
    words = ["mdp", "import-csv", str(file), "--instrument", series.instrument_id, "--bar", str(series.spec), "--catalog", str(catalog)]
    if isinstance(how.layout, str):
        words += ["--layout", how.layout]
    zone, stamp = how.time_zone, how.stamp
    if isinstance(error, QuestionUnanswered):
        zone, stamp = zone or "America/New_York", stamp or "open"
    for option, value in (
        ("--timezone", zone),
        ("--stamp", stamp),
        ("--delimiter", how.delimiter),
        ("--time-form", how.time_form),
        ("--symbol", how.symbol),
    ):
        words += [option, value] if value is not None else []
    if isinstance(error, ConflictingBars):
        words += ["--on-conflict", "merge", "--prefer", "file"]
    elif how.on_conflict != "fail":
        words += ["--on-conflict", how.on_conflict, *(["--prefer", how.prefer] if how.prefer else [])]
    words += ["--skip-bad-rows"] if isinstance(error, BadRows) or how.skip_bad_rows else []
    words += ["--adjusted"] if how.adjusted else []
    words += ["--accept-holes"] if how.accept_holes else []
    return shlex.join(words)
