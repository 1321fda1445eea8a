"""All files of one series: which can be used, what each row of them is, and the bars that they hold together, some sessions at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog.bar_format import PRICE_LIMIT, SIZE_LIMIT
from market_data_pipeline.domain.bar_table import PRICE_COLUMNS, BarTable, Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS, Series, path_name
from market_data_pipeline.domain.errors import PrecisionMismatch, SourceBusy, UsageError
from market_data_pipeline.domain.quality import HoleRule, broken_rows
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.sources.nautilus.bar_files import BadBarFile, SoundBarFile, look_at, read
from market_data_pipeline.sources.nautilus.merging import Merged, Order, merge
from market_data_pipeline.sources.nautilus.stamps import StampEnd, read_stamps

_Mask = npt.NDArray[np.bool_]
# Rows that are merged at a time, and rows that are kept decoded between two looks: 56 bytes each.
_BATCH_ROWS, _KEPT_ROWS = 400_000, 1_500_000
_NS_OF_DAY_BAR = DAY_NS - 1


@dataclass(frozen=True)
class LeftOut:
    """Rows of one file that are not taken, and why.

    Attributes:
        path: The file.
        rows: How many.
        reason: The rule that they break.
        example: One of them: its stamps.
    """

    path: Path
    rows: int
    reason: str
    example: str


@dataclass(frozen=True)
class _Checked:
    """A file whose rows have been looked at.

    Attributes:
        file: The file.
        kept: Rows that can be taken.
        first, last: Positions of the first and last session that any row of it touches; an empty range where there is none.
        left_out: Rows that cannot.
        holed: Positions of the sessions that lost rows to that.
        notes: What was decided about its stamps.
        restamped: Rows whose stamps were put right.
        extended: Rows outside of regular hours.
    """

    file: SoundBarFile
    kept: int
    first: int
    last: int
    left_out: tuple[LeftOut, ...]
    holed: frozenset[int]
    notes: tuple[str, ...]
    restamped: int
    extended: int


@dataclass(frozen=True)
class ForeignSeries:
    """One series of a foreign catalog, looked through.

    Attributes:
        name: Its folder's name.
        series: The series; None where the files name none that can be stored.
        refused: Why nothing of it can be taken, or None.
        precision: The decimals that its bars get.
        precisions: The decimals that its files name, with the number of files of each.
        bad: Files of which no bar can be taken.
        checked: The others, the oldest first.
        told: What a person said about stamps.
    """

    name: str
    series: Series | None
    refused: str | None
    precision: Precision
    precisions: dict[Precision, int]
    bad: tuple[BadBarFile, ...]
    checked: tuple[_Checked, ...] = ()
    told: StampEnd | None = None
    _decoded: dict[Path, BarTable] = field(default_factory=dict, repr=False, compare=False)

    @property
    def files(self) -> int:
        """How many files there are."""
        return len(self.bad) + len(self.checked)

    @property
    def rows(self) -> int:
        """Rows of all files whose footers can be read."""
        return sum(one.file.rows for one in self.checked) + self.bad_rows

    @property
    def bad_rows(self) -> int:
        """Rows in files of which no bar can be taken, by their footers."""
        return sum(one.rows or 0 for one in self.bad)

    @property
    def kept_rows(self) -> int:
        """Rows that can be taken, duplicates included."""
        return sum(one.kept for one in self.checked)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Rows of readable files that cannot be taken."""
        return tuple(one for file in self.checked for one in file.left_out)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided about stamps, file by file."""
        return tuple(f"{one.file.path.name}: {note}" for one in self.checked for note in one.notes)

    @property
    def restamped(self) -> int:
        """Rows whose stamps were put right."""
        return sum(one.restamped for one in self.checked)

    @property
    def is_regular_only(self) -> bool:
        """True if the venue has hours before and after the regular ones, and no bar lies there: it seems that only regular hours were asked for."""
        if self.series is None or self.series.spec.is_daily_or_longer or not self.kept_rows:
            return False
        calendar = partitions_of(self.series).calendar
        return bool((calendar.pre_ns < calendar.open_ns).any()) and not any(one.extended for one in self.checked)

    @property
    def price_bytes(self) -> tuple[int, ...]:
        """Bytes of a price in the files, each size once."""
        return tuple(sorted({one.file.price_bytes for one in self.checked}))

    @property
    def holed(self) -> frozenset[int]:
        """Positions of the sessions that lost rows because these break a rule."""
        return frozenset().union(*(one.holed for one in self.checked))

    def merged(self, order: Order) -> Iterator[Merged]:
        """Yield what the files hold together, some whole sessions at a time, oldest first; each session in one piece.

        Memory is bounded by the files that share sessions with each other, and some hundred thousand rows.
        """
        paths = [one.file.path for one in self.checked]
        number_of = {path: number for number, path in enumerate(paths)}
        for group in _groups([one for one in self.checked if one.kept]):
            tables = [self._rows(one) for one in group]
            numbers = [np.full(len(bars), number_of[one.file.path], dtype=np.int64) for one, bars in zip(group, tables, strict=True)]
            yield merge(BarTable.concatenate(tables), np.concatenate(numbers), paths, order)

    def forget(self) -> None:
        """Free what is kept decoded."""
        self._decoded.clear()

    def _rows(self, one: _Checked) -> BarTable:
        if one.file.path in self._decoded:
            return self._decoded[one.file.path]
        found = read(one.file, self.precision)
        assert self.series is not None
        if isinstance(found, BadBarFile) or len(found) != one.file.rows:
            raise SourceBusy(f"{one.file.path} has changed since it was looked at. Wait until nobody writes this catalog, and run this again.")
        return _sorted_out(one.file, found, partitions_of(self.series), self.told)[0]


def inspect(name: str, paths: Sequence[Path], precisions: Sequence[Precision] = (), told: StampEnd | None = None) -> ForeignSeries:
    """Look through all files of a series: every page is decoded once.

    Args:
        name: The folder's name, as Nautilus makes it from the bar type.
        paths: The files.
        precisions: The decimals to try first: of what is stored, of the instrument. Else the highest that a file names.
        told: What a person says that stamps name which do not speak for themselves.
    """
    looked = [look_at(path) for path in paths]
    bad = [one for one in looked if isinstance(one, BadBarFile)]
    sound = sorted((one for one in looked if isinstance(one, SoundBarFile)), key=lambda one: one.age)
    named = Counter(one.precision for one in sound)
    nothing = ForeignSeries(name, None, None, Precision(0, 0), dict(named), tuple(bad))
    if not sound:
        return nothing
    bar_type = _bar_type_of(name, sound)
    strangers = [one for one in sound if one.bar_type != bar_type]
    bad += [BadBarFile(one.path, one.rows, f"it says that it holds {one.bar_type}, and lies among bars of {bar_type or name}") for one in strangers]
    sound = [one for one in sound if one.bar_type == bar_type]
    if not sound:
        return replace(nothing, bad=tuple(bad))
    try:
        series = Series.parse(bar_type)
        partitions = partitions_of(series)
    except UsageError as error:
        left = [BadBarFile(one.path, one.rows, "its series cannot be stored") for one in sound]
        return replace(nothing, refused=f"{bar_type}: {error}", bad=(*bad, *left))
    highest = Precision(max(one.precision.price for one in sound), max(one.precision.size for one in sound))
    return _decoded_at([*precisions, highest], replace(nothing, series=series, told=told), sound, bad, partitions)


def _bar_type_of(name: str, sound: Sequence[SoundBarFile]) -> str:
    """Return the bar type of a folder of this name that most rows have: `EUR/USD` and `EURUSD` have one folder."""
    rows: Counter[str] = Counter()
    for one in sound:
        if path_name(one.bar_type) == name:
            rows[one.bar_type] += one.rows + 1
    return max(rows, key=lambda key: (rows[key], key), default="")


def _decoded_at(
    precisions: Sequence[Precision], start: ForeignSeries, sound: Sequence[SoundBarFile], bad: Sequence[BadBarFile], partitions: Partitions
) -> ForeignSeries:
    """Decode all files at the first precision that holds every value exactly."""
    for precision in precisions:
        try:
            return _decoded(precision, start, sound, bad, partitions)
        except PrecisionMismatch:
            continue
    left = [BadBarFile(one.path, one.rows, "its values do not fit 64 bits at the decimals of the series") for one in sound]
    return replace(start, bad=(*bad, *left))


def _decoded(
    precision: Precision, start: ForeignSeries, sound: Sequence[SoundBarFile], bad: Sequence[BadBarFile], partitions: Partitions
) -> ForeignSeries:
    broken, checked, kept = list(bad), [], 0
    decoded: dict[Path, BarTable] = {}
    for file in sound:
        found = read(file, precision)
        if isinstance(found, BadBarFile):
            broken.append(found)
            continue
        bars, one = _sorted_out(file, found, partitions, start.told)
        checked.append(one)
        kept += len(bars)
        if kept <= _KEPT_ROWS:
            decoded[file.path] = bars
    return replace(start, precision=precision, bad=tuple(broken), checked=tuple(checked), _decoded=decoded)


def _sorted_out(file: SoundBarFile, bars: BarTable, partitions: Partitions, told: StampEnd | None) -> tuple[BarTable, _Checked]:
    """Return the rows of a file that can be taken, stamped as Nautilus' Interactive Brokers adapter stamps them, and what became of the others."""
    stamps = read_stamps(bars.ts_event, bars.ts_init, partitions, told)
    length = _NS_OF_DAY_BAR if partitions.spec.is_daily_or_longer else partitions.spec.length_ns
    good = stamps.known.copy()
    left_out: list[LeftOut] = []
    lost: list[Int64s] = []
    stamped = replace(bars, ts_init=stamps.closes, ts_event=stamps.closes - length)
    position = partitions.index_of_close(stamped.ts_init)
    if not stamps.known.all():
        left_out.append(_left(file, bars, ~stamps.known, stamps.refused or "stamps that name no close"))
        lost.append(partitions.index_of_close(bars.ts_init[~stamps.known]))  # near enough to say which sessions are not whole
    for reason, mask in _faults(stamped, position, partitions):
        wrong = good & mask
        if wrong.any():
            left_out.append(_left(file, bars, wrong, reason))
            lost.append(position[wrong])
            good &= ~wrong
    kept = stamped if good.all() else stamped.take(good)
    touched = position[good] if len(kept) else np.array([0, -1])
    gone = np.concatenate(lost) if lost else np.empty(0, dtype=np.int64)
    gone = gone[(gone >= 0) & (gone < len(partitions))]
    return kept, _Checked(
        file=file,
        kept=len(kept),
        first=int(touched.min() if len(kept) else 0),
        last=int(touched.max() if len(kept) else -1),
        left_out=tuple(left_out),
        holed=frozenset(np.unique(gone).tolist()),
        notes=stamps.notes,
        restamped=stamps.restamped,
        extended=_extended(kept, touched, partitions) if len(kept) else 0,
    )


def _extended(bars: BarTable, position: Int64s, partitions: Partitions) -> int:
    """Count the bars that lie outside of regular hours."""
    calendar, of = partitions.calendar, partitions.calendar_index[position]
    return int(((bars.ts_init <= calendar.open_ns[of]) | (bars.ts_event >= calendar.close_ns[of])).sum())


def _faults(bars: BarTable, position: Int64s, partitions: Partitions) -> Iterator[tuple[str, _Mask]]:
    """Yield each rule with the rows that break it."""
    calendar = partitions.calendar
    outside = (position < 0) | (position >= len(partitions))
    yield f"outside of the years of the {calendar.name} calendar", outside
    if partitions.spec.is_daily_or_longer:
        days = partitions.days[np.clip(position, 0, len(partitions) - 1)]
        yield f"dated on a day that is no session of the {calendar.name} calendar", ~outside & (bars.ts_init // DAY_NS != days)
    yield from broken_rows(bars).items()
    price = PRICE_LIMIT * 10**bars.price_precision
    size = SIZE_LIMIT * 10**bars.size_precision
    # Beyond 64 bits nothing is decoded, so only limits within them can be broken.
    if price < 2**63:
        yield "a price beyond what Nautilus holds", np.any([np.abs(bars.column(name)) > price for name in PRICE_COLUMNS], axis=0)
    if size < 2**63:
        yield "a volume beyond what Nautilus holds", bars.volume > size


def _left(file: SoundBarFile, bars: BarTable, mask: _Mask, reason: str) -> LeftOut:
    first = int(np.flatnonzero(mask)[0])
    event, init = (np.datetime64(int(stamps[first]), "ns") for stamps in (bars.ts_event, bars.ts_init))
    return LeftOut(file.path, int(mask.sum()), reason, f"row {first + 1:,}: ts_event {event}, ts_init {init}")


def _groups(checked: Sequence[_Checked]) -> Iterator[list[_Checked]]:
    """Yield files in groups that share no session with each other, several small ones together."""
    group: list[_Checked] = []
    rows, last = 0, -1
    for one in sorted(checked, key=lambda one: (one.first, one.last)):
        if group and one.first > last and rows + one.kept > _BATCH_ROWS:
            yield group
            group, rows = [], 0
        group.append(one)
        rows += one.kept
        last = max(last, one.last)
    if group:
        yield group


def longest_absence_allowed_s(bars: BarTable, partitions: Partitions) -> float:
    """Return how many seconds of regular hours may pass without a bar before that counts as a hole, by what is usual in these bars."""
    spec = partitions.spec
    if spec.is_daily_or_longer or len(bars) < 2:
        return HoleRule().longest_allowed_s(0 if spec.is_daily_or_longer else spec.length_ns // NANOSECONDS, 0.0)
    position = partitions.index_of_close(bars.ts_init)
    sessions = partitions.calendar_index[position]
    regular = (bars.ts_init > partitions.calendar.open_ns[sessions]) & (bars.ts_event < partitions.calendar.close_ns[sessions])
    together = (np.diff(position) == 0) & regular[1:] & regular[:-1]
    absences = (bars.ts_event[1:] - bars.ts_init[:-1])[together]
    usual = float(np.median(absences)) / NANOSECONDS if len(absences) else 0.0
    return HoleRule().longest_allowed_s(spec.length_ns // NANOSECONDS, usual)
