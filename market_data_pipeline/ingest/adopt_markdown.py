"""The report of an adoption as Markdown: for a file beside the bars, and for the Dagster page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import numpy as np

from market_data_pipeline.domain.bar_table import VALUE_COLUMNS, BarTable
from market_data_pipeline.domain.words import count
from market_data_pipeline.ingest.adopt_report import AdoptReport, SeriesReport
from market_data_pipeline.sources.nautilus import BarConflict

_LISTED = 200


def to_markdown(report: AdoptReport) -> str:
    """Return the whole report."""
    return "\n".join(_lines(report)) + "\n"


def values_of(bars: BarTable) -> str:
    """Return the values of a table of one row, exact: `open 1.1, high ...`."""
    places = {name: bars.size_precision if name == "volume" else bars.price_precision for name in VALUE_COLUMNS}
    return ", ".join(f"{name} {Decimal(int(bars.column(name)[0])).scaleb(-places[name]):f}" for name in VALUE_COLUMNS)


def moment(ns: int) -> str:
    """Return nanoseconds since 1970 as `2024-01-05 14:30:00 UTC`."""
    return f"{str(np.datetime64(ns, 'ns'))[:19].replace('T', ' ')} UTC"


def _lines(report: AdoptReport) -> Iterator[str]:
    yield from (f"# Adoption of {report.source}", "", f"Into {report.catalog}. How it ended: **{report.ending}**, after {report.seconds:.1f} s.", "")
    yield from (f"Which file is believed: {report.prefer}.", "", f"The sum closes: **{'yes' if report.closes else 'NO'}**.", "")
    yield from ("## What became of each row", "")
    names = list(report.total.parts)
    rows = [[one.title, f"{one.read:,}", *(f"{one.parts[name]:,}" for name in names), "yes" if one.closes else "NO"] for one in report.series]
    total = [report.total]
    rows += [["all", f"{one.read:,}", *(f"{one.parts[name]:,}" for name in names), "yes" if report.closes else "NO"] for one in total]
    yield from _table(["series", "bars read", *names, "closes"], rows)
    yield from ("", "## Sessions", "")
    heads = ["series", "first", "last", "complete", "partial", "missing", "decimals", "bytes of a price", "files"]
    yield from _table(heads, [_sessions(one) for one in report.series])
    yield from ("", "## Instruments", "")
    yield from _table(
        ["instrument", "kind", "what became of it", "why"], [[one.instrument_id, one.kind, one.what, one.why] for one in report.instruments]
    )
    for one in report.series:
        yield from _details(one)
    if report.not_adopted:
        yield from ("", "## Not adopted", "")
        yield from _table(["folder", "files", "why"], [[one.where, str(one.files), one.reason] for one in report.not_adopted])


def _sessions(one: SeriesReport) -> list[str]:
    decimals = f"{one.precision.price} and {one.precision.size}" if one.precision is not None else ""
    first, last = (str(date or "") for date in (one.first_session, one.last_session))
    sizes = ", ".join(map(str, one.price_bytes))
    return [one.title, first, last, f"{one.complete:,}", f"{one.partial:,}", f"{one.missing_sessions:,}", decimals, sizes, f"{one.files:,}"]


def _details(one: SeriesReport) -> Iterator[str]:
    told = [f"- could not be adopted: {one.failed}"] if one.failed is not None else []
    if one.duplicates:
        told.append(f"- Duplicate rows: {one.duplicates_inside:,} in one file, {one.duplicates_across:,} in two")
    told += [f"- {note}" for note in one.notes]
    told += _listed("partial session", [str(date) for date in one.partial_sessions])
    told += _listed("missing", [str(gap) for gap in one.missing])
    told += _listed(
        "bad file", [f"{bad.name}: {'unknown rows' if bad.rows is None else count(bad.rows, 'row')}: {bad.reason}" for bad in one.bad_files]
    )
    told += _listed("left out", [f"{left.path.name}: {count(left.rows, 'row')}: {left.reason} ({left.example})" for left in one.left_out])
    told += _listed("conflict", [conflict_text(two) for two in one.examples], one.conflicts)
    told += _listed(
        "stored otherwise",
        [
            f"{two.session}: {count(two.stored_rows, 'bar')} stored, {two.source_rows:,} in the source, {two.different:,} differ"
            for two in one.stored_conflicts
        ],
    )
    if told:
        yield from ("", f"## {one.title}", "", *told)


def conflict_text(conflict: BarConflict) -> str:
    """Return a conflict with both values and their files."""
    kept, other = f"{values_of(conflict.kept)} ({conflict.kept_file.name})", f"{values_of(conflict.other)} ({conflict.other_file.name})"
    return f"the bar of {moment(conflict.ts_event)}: {kept} against {other}"


def _listed(what: str, items: Sequence[str], of: int = 0) -> list[str]:
    more = max(of, len(items)) - min(len(items), _LISTED)
    return [*(f"- {what}: {item}" for item in items[:_LISTED]), *([f"- {what}: {more:,} more"] if more > 0 else [])]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"
