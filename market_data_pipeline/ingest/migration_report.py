"""What a migration did, and the proof that everything arrived; also as Markdown and JSON files in the catalog's `reports/`."""

from __future__ import annotations

import datetime as dt
import json
import resource
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import StorageFailed
from market_data_pipeline.domain.words import agreeing, count

if TYPE_CHECKING:
    from market_data_pipeline.ingest.import_csv import ImportReport
    from market_data_pipeline.ingest.reconciliation import Difference

_SHOWN = 50


def peak_memory_bytes() -> int:
    """Return the most memory that this process has had at once, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1_024


@dataclass(frozen=True)
class SymbolReport:
    """What became of one symbol.

    Attributes:
        symbol: As the table writes it.
        series: The series that it is.
        rows: Its rows in the table, inside the dates asked for.
        imported: What storing did; None where nothing had to be read, or the symbol was refused.
        sessions: Sessions that the table has of it.
        equal_before: Sessions that were stored with the same bars, and not read again.
        is_reconciled: True where both sides were compared.
        compared: Sessions compared.
        bars_compared: Bars in them, read back from the files.
        differences: Sessions that differ.
        refused: Why nothing was stored, or None.
        refused_as: The error's name.
        exit_code: The error's exit code.
        seconds: Time taken.
    """

    symbol: str
    series: Series
    rows: int
    imported: ImportReport | None = None
    sessions: int = 0
    equal_before: int = 0
    is_reconciled: bool = False
    compared: int = 0
    bars_compared: int = 0
    differences: tuple[Difference, ...] = ()
    refused: str | None = None
    refused_as: str = ""
    exit_code: int = 0
    seconds: float = 0.0

    @property
    def rows_bad(self) -> int:
        """Rows that were left out because they break a rule."""
        return 0 if self.imported is None else self.imported.rows_bad

    @property
    def bars_written(self) -> int:
        """Bars in the sessions that were written."""
        return 0 if self.imported is None else self.imported.bars_written

    @property
    def is_whole(self) -> bool:
        """True where every row is in the catalog, or named in the rejects file."""
        return self.refused is None and self.is_reconciled and not self.differences and self.rows == self.bars_compared + self.rows_bad


@dataclass(frozen=True)
class MigrationReport:
    """What a migration did.

    Attributes:
        table: `schema.table`.
        database: Host, port, database and user.
        spec: Bar spec.
        catalog: Folder of the catalog.
        started: When.
        symbols: One report a symbol.
        left_out: Symbols that were not asked for, or mapped to null, with their rows; the key None is rows without a symbol.
        first: First session asked for, or None for the table's.
        last: Last session asked for, or None.
        dry_run: True where nothing was stored.
        seconds: Time taken.
        peak_memory: Most memory of the process, bytes.
        comment: What the table's comment says now, or None where it was not touched.
    """

    table: str
    database: str
    spec: str
    catalog: str
    started: dt.datetime
    symbols: tuple[SymbolReport, ...]
    left_out: dict[str | None, int] = field(default_factory=dict)
    first: dt.date | None = None
    last: dt.date | None = None
    dry_run: bool = False
    seconds: float = 0.0
    peak_memory: int = 0
    comment: str | None = None

    @property
    def rows(self) -> int:
        """Rows of the symbols that were asked for."""
        return sum(one.rows for one in self.symbols)

    @property
    def bars_written(self) -> int:
        """Bars in the sessions that were written."""
        return sum(one.bars_written for one in self.symbols)

    @property
    def rows_bad(self) -> int:
        """Rows left out because they break a rule."""
        return sum(one.rows_bad for one in self.symbols)

    @property
    def refused(self) -> tuple[SymbolReport, ...]:
        """Symbols of which nothing was stored."""
        return tuple(one for one in self.symbols if one.refused is not None)

    @property
    def differences(self) -> int:
        """Sessions that differ."""
        return sum(len(one.differences) for one in self.symbols)

    @property
    def is_proven(self) -> bool:
        """True where every row of every symbol asked for is in the catalog, or named in a rejects file."""
        return not self.dry_run and all(one.is_whole for one in self.symbols)

    @property
    def exit_code(self) -> int:
        """0 where all went well; what the first refusal says, or 1 for a difference."""
        if self.dry_run:
            return next((one.exit_code for one in self.refused), 0)
        return next((one.exit_code for one in self.refused), 0 if self.is_proven else 1)

    @property
    def verdict(self) -> str:
        """One line: did everything arrive?"""
        if self.dry_run:
            return (
                f"Dry run, nothing was stored: {count(self.rows, 'row')}, {self.rows_bad:,} of them bad, "
                f"{count(len(self.refused), 'symbol')} refused."
            )
        if self.is_proven:
            bad = (
                f" and {count(self.rows_bad, 'bad row')} in "
                f"{agreeing(len([one for one in self.symbols if one.rows_bad]), 'a rejects file', 'rejects files')}"
                if self.rows_bad
                else ""
            )
            compared = sum(one.bars_compared for one in self.symbols)
            return (
                f"Reconciled: {count(self.rows, 'row')} in the table = {count(compared, 'bar')} in the catalog{bad}; counts, sums and "
                "values of each session are equal."
            )
        return (
            f"NOT reconciled: {count(self.differences, 'session')} {agreeing(self.differences, 'differs', 'differ')}, {len(self.refused)} of "
            f"{count(len(self.symbols), 'symbol')} {agreeing(len(self.refused), 'was', 'were')} refused."
        )


def to_json(report: MigrationReport) -> dict[str, object]:
    """Return the report for programs."""
    return {
        "table": report.table,
        "database": report.database,
        "bar": report.spec,
        "catalog": report.catalog,
        "started": report.started.isoformat(timespec="seconds"),
        "start": str(report.first) if report.first else None,
        "end": str(report.last) if report.last else None,
        "dry_run": report.dry_run,
        "rows": report.rows,
        "rows_bad": report.rows_bad,
        "bars_written": report.bars_written,
        "differences": report.differences,
        "reconciled": report.is_proven,
        "verdict": report.verdict,
        "left_out": {symbol or "": rows for symbol, rows in report.left_out.items()},
        "seconds": round(report.seconds, 3),
        "peak_memory_bytes": report.peak_memory,
        "comment": report.comment,
        "symbols": [_symbol_to_json(one) for one in report.symbols],
    }


def _symbol_to_json(one: SymbolReport) -> dict[str, object]:
    counts = {} if one.imported is None else {kind: getattr(one.imported, kind) for kind in ("stored", "replaced", "merged", "skipped", "unchanged")}
    return {
        "symbol": one.symbol,
        "series": one.series.bar_type,
        "rows": one.rows,
        "rows_bad": one.rows_bad,
        "rejects_file": None if one.imported is None else one.imported.rejects_file,
        "bars_written": one.bars_written,
        "sessions": {"table": one.sessions, "equal_before": one.equal_before, **counts},
        "partial_sessions": [] if one.imported is None else [str(date) for date in one.imported.partial],
        "compared": {"sessions": one.compared, "bars": one.bars_compared},
        "differences": [
            {"session": str(d.session), "what": d.what, "in_table": d.in_table, "in_catalog": d.in_catalog, "bar": d.bar} for d in one.differences
        ],
        "refused": one.refused,
        "warnings": [] if one.imported is None else list(one.imported.warnings),
        "seconds": round(one.seconds, 3),
    }


def to_markdown(report: MigrationReport) -> str:
    """Return the report for people who keep it."""
    lines = [
        f"# Migration of {report.table}",
        "",
        f"**{report.verdict}**",
        "",
        f"- From {report.database}, bars {report.spec}, into {report.catalog}",
        f"- Started {report.started:%Y-%m-%d %H:%M:%S} UTC, took {report.seconds:,.1f} s, at most {report.peak_memory / 1e6:,.0f} MB of memory",
        f"- Sessions {report.first or 'from the first'} to {report.last or 'the last'}",
    ]
    lines += [f"- Left out: {symbol or 'rows without a symbol'} ({count(rows, 'row')})" for symbol, rows in report.left_out.items()]
    if report.comment is not None:
        lines.append(f"- The table's comment says now: {report.comment.splitlines()[0]}")
    lines += [
        "",
        "| symbol | instrument | rows in the table | bars in the catalog | bad rows | sessions | equal before | differences | outcome |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for one in report.symbols:
        outcome = "refused" if one.refused else "equal" if one.is_whole else "read" if report.dry_run else "DIFFERS"
        lines.append(
            f"| {_cell(one.symbol)} | {_cell(one.series.instrument_id)} | {one.rows:,} | {one.bars_compared:,} | "
            f"{one.rows_bad:,} | {one.sessions:,} | "
            f"{one.equal_before:,} | {len(one.differences):,} | {outcome} |"
        )
    for one in report.symbols:
        lines += _details(one)
    return "\n".join(lines) + "\n"


def _details(one: SymbolReport) -> list[str]:
    lines = [f"- {difference}" for difference in one.differences[:_SHOWN]]
    if len(one.differences) > _SHOWN:
        lines.append(f"- … and {count(len(one.differences) - _SHOWN, 'more session')}")
    if one.imported is not None:
        lines += [f"- {warning}" for warning in one.imported.warnings]
        if one.imported.rejects_file:
            lines.append(f"- bad rows: {one.imported.rejects_file}")
        if one.imported.partial:
            dates = ", ".join(map(str, one.imported.partial[:_SHOWN]))
            lines.append(f"- partial sessions ({len(one.imported.partial):,}): {dates}")
    if one.refused is not None:
        lines += ["", "```", one.refused, "```"]
    return ["", f"## {one.symbol}", "", *lines] if lines else []


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write_reports(report: MigrationReport, folder: Path) -> Path:
    """Write the report as Markdown and JSON files named by its moment into `folder`; return the Markdown one.

    Raises:
        StorageFailed: If they cannot be written.
    """
    table = "".join(c if c.isalnum() or c in "._-" else "_" for c in report.table)
    stem = f"migrate-{table}-{report.started:%Y%m%dT%H%M%S%f}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{stem}.json").write_text(json.dumps(to_json(report), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / f"{stem}.md").write_text(to_markdown(report), encoding="utf-8")
    except OSError as error:
        raise StorageFailed(f"The report cannot be written to {folder}: {error.strerror}. All bars are stored; the report above holds.") from None
    return folder / f"{stem}.md"
