"""What an adoption did, so that every row of the foreign catalog is accounted for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.sources.nautilus import BarConflict, LeftOut, NotAdopted


class Ending(StrEnum):
    """How an adoption ended."""

    DONE = "done"
    DRY = "dry run"
    CONFLICTS = "conflicts"  # nothing was written


@dataclass(frozen=True)
class BadFile:
    """A file of which no bar could be taken: its name below the catalog, its rows (None where not even that can be read), and why."""

    name: str
    rows: int | None
    reason: str


@dataclass(frozen=True)
class StoredConflict:
    """A session of which the catalog holds other bars than the source.

    Attributes:
        session: Its date.
        stored_rows: Bars stored.
        source_rows: Bars of the source.
        different: Bars that both have, with different values.
    """

    session: dt.date
    stored_rows: int
    source_rows: int
    different: int


@dataclass(frozen=True)
class Recount:
    """The same numbers counted another way, by the footers of the files alone.

    Attributes:
        source_rows: Rows of all files of the series in the source.
        written_rows: Rows of the files that were written; None on a dry run.
    """

    source_rows: int
    written_rows: int | None


@dataclass(frozen=True)
class SeriesReport:
    """What became of each row of one series.

    Attributes:
        name: Folder of the series in the source.
        series: The series; None where its files name none that can be stored.
        failed: Why nothing of it could be taken or written, or None.
        files: Files in the source.
        price_bytes: Bytes of a price in them.
        precision: Decimals of the bars now.
        precisions: Decimals that the files name.
        read: Rows of all its files, by their decoding.
        written: Bars in the sessions that were written.
        stored_before: Bars that were stored already, with the same values.
        kept_stored: Bars that were left out because the catalog has other values and keeps them.
        duplicates_inside: Rows that stand twice in one file, with the same values.
        duplicates_across: Rows that another file has too, with the same values.
        conflicts: Rows that were left out because another row has other values for the bar.
        bad_rows: Rows of files of which no bar could be taken.
        not_written: Rows that nothing is wrong with, of a series that failed, or of an adoption that wrote nothing.
        left_out: Rows that break a rule, file by file.
        bad_files: The files of which no bar could be taken.
        examples: Some of the conflicts between files.
        stored_conflicts: Sessions that the catalog holds otherwise.
        stored, replaced, unchanged, skipped: Numbers of sessions.
        complete, partial: Numbers of sessions of the source, as they were judged.
        partial_sessions: The partial ones.
        missing: Sessions between its first and last that it lacks, as ranges.
        first_session, last_session: Dates; None where it has none.
        restamped: Rows whose time stamps were put right.
        notes: How, and other things a person should know.
        recount: The same numbers counted another way.
    """

    name: str
    series: Series | None = None
    failed: str | None = None
    files: int = 0
    price_bytes: tuple[int, ...] = ()
    precision: Precision | None = None
    precisions: tuple[Precision, ...] = ()
    read: int = 0
    written: int = 0
    stored_before: int = 0
    kept_stored: int = 0
    duplicates_inside: int = 0
    duplicates_across: int = 0
    conflicts: int = 0
    bad_rows: int = 0
    not_written: int = 0
    left_out: tuple[LeftOut, ...] = ()
    bad_files: tuple[BadFile, ...] = ()
    examples: tuple[BarConflict, ...] = ()
    stored_conflicts: tuple[StoredConflict, ...] = ()
    stored: int = 0
    replaced: int = 0
    unchanged: int = 0
    skipped: int = 0
    complete: int = 0
    partial: int = 0
    partial_sessions: tuple[dt.date, ...] = ()
    missing: tuple[SessionRange, ...] = ()
    first_session: dt.date | None = None
    last_session: dt.date | None = None
    restamped: int = 0
    notes: tuple[str, ...] = ()
    recount: Recount = field(default_factory=lambda: Recount(0, None))

    @property
    def title(self) -> str:
        """The bar type, or the folder's name where there is none."""
        return str(self.series or self.name)

    @property
    def duplicates(self) -> int:
        """Rows left out because the same bar with the same values stands elsewhere."""
        return self.duplicates_inside + self.duplicates_across

    @property
    def left_out_rows(self) -> int:
        """Rows that break a rule."""
        return sum(one.rows for one in self.left_out)

    @property
    def missing_sessions(self) -> int:
        """Sessions between its first and last that it lacks."""
        return sum(one.sessions for one in self.missing)

    @property
    def parts(self) -> dict[str, int]:
        """The rows by what became of them; they add up to `read`."""
        return {
            "written": self.written,
            "stored before": self.stored_before,
            "kept as stored": self.kept_stored,
            "duplicates": self.duplicates,
            "conflicts dropped": self.conflicts,
            "rows that break a rule": self.left_out_rows,
            "rows in bad files": self.bad_rows,
            "not written": self.not_written,
        }

    @property
    def closes(self) -> bool:
        """True if every row is accounted for, and the files' footers count the same."""
        counted = self.recount.written_rows
        return sum(self.parts.values()) == self.read == self.recount.source_rows and counted in (None, self.written)


class Kept(StrEnum):
    """What became of an instrument definition."""

    STORED = "stored"
    UNCHANGED = "stored before"
    OTHER_HOLDS = "the catalog's own holds"
    REFUSED = "refused"
    MISSING = "missing"


@dataclass(frozen=True)
class InstrumentReport:
    """What became of one instrument.

    Attributes:
        instrument_id: Its id.
        kind: Its class in Nautilus; "" where it is not known.
        what: What became of its definition.
        why: The reason, or what a person should know.
        older: Older definitions of it in the source, that were left there.
    """

    instrument_id: str
    kind: str
    what: Kept
    why: str = ""
    older: int = 0


@dataclass(frozen=True)
class AdoptReport:
    """What an adoption did, or would do.

    Attributes:
        source: Folder of the foreign catalog.
        catalog: Folder of ours.
        ending: How it ended.
        prefer: Which of two files that contradict each other was believed, and by what rule.
        series: Each series.
        instruments: Each instrument.
        not_adopted: What else lies in the source.
        seconds: Time taken.
        report_file: Where this report was written, or None.
    """

    source: Path
    catalog: Path
    ending: Ending
    prefer: str
    series: tuple[SeriesReport, ...]
    instruments: tuple[InstrumentReport, ...]
    not_adopted: tuple[NotAdopted, ...]
    seconds: float
    report_file: Path | None = None

    @property
    def total(self) -> SeriesReport:
        """The numbers of all series together."""
        names = ("files", "read", "written", "stored_before", "kept_stored", "duplicates_inside", "duplicates_across", "conflicts", "bad_rows")
        more = ("not_written", "stored", "replaced", "unchanged", "skipped", "complete", "partial", "restamped")
        sums = {name: sum(int(getattr(one, name)) for one in self.series) for name in (*names, *more)}
        counted = [one.recount.written_rows for one in self.series]
        written = None if None in counted and self.ending is not Ending.DONE else sum(number or 0 for number in counted)
        return SeriesReport(
            name="all series",
            left_out=_joined(one.left_out for one in self.series),
            bad_files=_joined(one.bad_files for one in self.series),
            stored_conflicts=_joined(one.stored_conflicts for one in self.series),
            missing=_joined(one.missing for one in self.series),
            recount=Recount(sum(one.recount.source_rows for one in self.series), written),
            **sums,  # type: ignore[arg-type]  # all of these are numbers
        )

    @property
    def closes(self) -> bool:
        """True if every row of every series is accounted for."""
        return all(one.closes for one in self.series)

    @property
    def orphans(self) -> tuple[str, ...]:
        """Instruments with bars and no definition."""
        return tuple(one.instrument_id for one in self.instruments if one.what is Kept.MISSING)

    @property
    def failed(self) -> bool:
        """True if something that could have been adopted was not, or a row is not accounted for."""
        return self.ending is Ending.CONFLICTS or not self.closes or any(one.failed for one in self.series)


def _joined[T](parts: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(one for part in parts for one in part)
