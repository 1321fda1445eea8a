"""The commands that fill a gap: for the terminal, and for Dagster."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.orchestration.job_names import job_of
from market_data_pipeline.orchestration.partitions import range_tags

if TYPE_CHECKING:
    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.orchestration.partitions import UniversePartitions

_GAPS_SHOWN = 50


def load_command(partitions: UniversePartitions, series: Series, gap: SessionRange) -> str:
    """Return the `mdp` command that fills a gap of a series: from the broker, from the file that the universe names, or from finer bars."""
    universe = partitions.universe
    if (finer := universe.derived.get(str(series.spec))) is not None:
        dates = ["--start", str(gap.first), "--end", str(gap.last)]
        return shlex.join(["mdp", "load", series.instrument_id, str(series.spec), "--derive", "--from", finer, "--mode", "full", *dates])
    if universe.files is None:
        hours = ["--hours", universe.hours] if universe.hours else []
        dates = ["--start", str(gap.first), "--end", str(gap.last)]
        return shlex.join(["mdp", "load", series.instrument_id, str(series.spec), "--mode", "full", *dates, *hours])
    files = universe.files
    layout = files.layout if isinstance(files.layout, str) else None
    named = {"--layout": layout, "--timezone": files.time_zone, "--stamp": files.stamp}
    options = [word for option, value in named.items() if value for word in (option, value)]
    pattern = files.pattern_of(series)
    # Wildcards are for the shell.
    path = pattern if any(sign in pattern for sign in "*?[") else shlex.quote(pattern)
    return f"mdp import-csv {path} " + shlex.join(["--instrument", series.instrument_id, "--bar", str(series.spec), *options])


def job_command(partitions: UniversePartitions, series: Series, gap: SessionRange) -> str:
    """Return the `dagster job execute` command that asks the universe's source for a gap of a series."""
    ends = range_tags(*(f"{date}|{series.instrument_id}" for date in (gap.first, gap.last)))
    job = job_of(partitions, str(series.spec))
    return f"dagster job execute -m market_data_pipeline.definitions -j {job} --tags '{json.dumps(ends)}'"


def gap_table(catalog: Catalog, partitions: UniversePartitions, gaps: Iterable[tuple[Series, SessionRange]]) -> dg.TableMetadataValue:
    """Return gaps as a table, the newest first: what is missing, why, and the commands that fill each."""
    newest = sorted(gaps, key=lambda one: (one[1].last, one[0]), reverse=True)[:_GAPS_SHOWN]
    records = [
        dg.TableRecord(
            {
                "series": str(series),
                "first": str(gap.first),
                "last": str(gap.last),
                "sessions": gap.sessions,
                "why": why(catalog, series, gap),
                "mdp": load_command(partitions, series, gap),
                "command": job_command(partitions, series, gap),
            }
        )
        for series, gap in newest
    ]
    texts = {
        "why": "What the ledger knows: never stored, or stored in part.",
        "mdp": "Fills it, at the terminal, from the project's folder.",
        "command": "The same in Dagster: asks the source of the universe.",
    }
    columns = [
        dg.TableColumn(name, "int" if name == "sessions" else "string", description=texts.get(name))
        for name in ("series", "first", "last", "sessions", "why", "mdp", "command")
    ]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns))


def why(catalog: Catalog, series: Series, gap: SessionRange) -> str:
    """Say what the ledger knows of the sessions of a gap.

    `3 never stored`, `1 in part: 382 of 390 bars, 8 min without one`, or both.
    """
    partial = [row for row in catalog.sessions(series, gap.first, gap.last) if row.coverage.is_gap]
    told = [f"{gap.sessions - len(partial)} never stored"] if gap.sessions > len(partial) else []
    if len(partial) == 1:
        (row,) = partial
        longest = f", {row.longest_absence_s / 60:g} min without one" if row.longest_absence_s else ""
        told.append(f"{row.session} in part: {row.regular:,} of {row.expected:,} bars{longest}")
    elif partial:
        sources = Counter(row.source for row in partial)
        told.append(f"{len(partial)} in part ({', '.join(f'{name} gave {number}' for name, number in sources.items())})")
    return "; ".join(told)
