"""CSV files as a source of bars."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Provenance, SessionAnswer
from market_data_pipeline.domain.errors import UsageError
from market_data_pipeline.domain.quality import HoleRule
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Asked, NewsKind, Precision, RequestPlan, SessionFailure, SourceNews
from market_data_pipeline.sources.csv.bars import CsvBars, Judgement
from market_data_pipeline.sources.csv.columns import FileColumns, columns_of
from market_data_pipeline.sources.csv.layout import DELIMITERS, CsvLayout, Prices, Stamp, check_time_zone, parse_stamp
from market_data_pipeline.sources.csv.lines import byte_size
from market_data_pipeline.sources.csv.reading import Progress, Wanted, expected_rows, read_files
from market_data_pipeline.sources.csv.recognition import Declared, Verdict, recognise
from market_data_pipeline.sources.csv.report import BadRowReport
from market_data_pipeline.sources.csv.shapes import shape_of
from market_data_pipeline.tabular.spool import Spool

# Measured: a million rows a second; half of that is promised.
_BYTES_PER_SECOND = 25e6
_NAMES_TOLD = 3
# What a column of adjusted closes is adjusted for, by those who write one (Yahoo, Tiingo, Alpha Vantage).
ADJUSTED = "split+dividend"


class CsvSource:
    """CSV files that hold one series: read, checked, and answered session by session. Fulfils `domain.source.BarSource`.

    Several files (one a month, say) are read as one stream, in the order given. Use as a context manager: the room that opened
    bars take on disk is freed at the end.

    Args:
        paths: The files, plain or gzip.
        layout: What their columns mean; None to tell from each file's header.
        time_zone: IANA zone of times without an offset; wins over the layout's.
        stamp: Which end of a bar its stamp names; wins over the layout's.
        skip_bad_rows: Take the good rows and list the bad ones in a rejects file, instead of refusing the files.
        rejects_dir: Folder of the rejects files; None for beside each file.
        hole_rule: How long regular hours may pass without a bar before a session counts as partial.
        accept_holes: Take every session that has bars as complete, except one that is still trading.
        spool_dir: Folder for temporary columns (40 bytes a row); None for the system's.
        progress: Called with bytes read and bytes in all, of the files as they lie on disk.
        delimiter: One character, or comma, semicolon, tab, pipe; wins over the layout's.
        convention: Under which convention the files hold bars; the layout's adjustment is kept with it unless this names one.
        time_form: How times are written; wins over the layout's.
        symbol: Whose rows to take of files with several symbols.
        prices: Prices as written, or scaled to the column of adjusted closes, which is kept with the bars as `split+dividend`.
        clock: Returns now in nanoseconds since 1970 UTC.

    Raises:
        UsageError: If there are no files, one is named twice, or a zone or stamp convention is unknown.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        layout: CsvLayout | None = None,
        *,
        time_zone: str | None = None,
        stamp: str | None = None,
        skip_bad_rows: bool = False,
        rejects_dir: Path | None = None,
        hole_rule: HoleRule = HoleRule(),  # noqa: B008 - frozen
        accept_holes: bool = False,
        spool_dir: Path | None = None,
        progress: Progress | None = None,
        delimiter: str | None = None,
        convention: Convention | None = None,
        time_form: str | None = None,
        symbol: str | None = None,
        prices: Prices = Prices.AS_WRITTEN,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._paths = tuple(Path(path) for path in paths)
        if not self._paths:
            raise UsageError("No CSV file was named.")
        twice = [path for i, path in enumerate(self._paths) if path.resolve() in {p.resolve() for p in self._paths[:i]}]
        if twice:
            raise UsageError(f"{twice[0]} is named twice.")
        if time_zone is not None:
            check_time_zone(time_zone)
        self._layout = layout
        self._time_zone = time_zone
        self._stamp: Stamp | None = None if stamp is None else parse_stamp(stamp)
        self._skip_bad_rows = skip_bad_rows
        self._rejects_dir = rejects_dir
        self._judgement = Judgement(hole_rule, accept_holes, clock)
        self._spool_dir = spool_dir
        self._delimiter = None if delimiter is None else DELIMITERS.get(delimiter, delimiter)
        self._convention = Convention() if convention is None else convention
        self._progress = progress
        self._time_form = time_form
        self._symbol = symbol
        self._prices = prices
        self._verdict: Verdict | None = None
        self._spools: list[Spool] = []
        self._opened: tuple[Wanted, CsvBars] | None = None

    def __enter__(self) -> CsvSource:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free the room on disk. Bars that were opened give no more answers."""
        self._opened = None
        while self._spools:
            self._spools.pop().close()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in the order given."""
        return self._paths

    @property
    def names(self) -> tuple[str, ...]:
        """The files' names, in the order given."""
        return tuple(path.name for path in self._paths)

    @property
    def noun(self) -> str:
        """What a person calls what is read."""
        return "file"

    @property
    def provenance(self) -> Provenance:
        """`csv`, the files' names, and what the layout says was done to the prices. Reads the header if no layout was given."""
        adjustment = self._convention.adjustment
        if self._prices is Prices.ADJUSTED:
            adjustment = ADJUSTED
        elif adjustment == Convention().adjustment:
            adjustment = self._layout_of(self._paths[0]).adjustment
        return Provenance("csv", self._names, replace(self._convention, adjustment=adjustment))

    @property
    def _names(self) -> str:
        names = [path.name for path in self._paths]
        return ", ".join(names) if len(names) <= _NAMES_TOLD else f"{names[0]} … {names[-1]} ({len(names)} files)"

    def verdict(self, series: Series, partitions: Partitions) -> Verdict:
        """Return what the files are and why, by a sample of them.

        Raises:
            MarketDataError: As `recognition.recognise`.
        """
        if self._verdict is None:
            declared = Declared(self._layout, self._time_zone, self._stamp, self._delimiter, self._time_form, self._symbol)
            self._verdict = recognise(self._paths, series, partitions, declared)
        return self._verdict

    def _layout_of(self, path: Path) -> CsvLayout:
        layout = shape_of(path, self._delimiter).layout if self._layout is None else self._layout
        return replace(
            layout,
            time_zone=self._time_zone or layout.time_zone,
            stamp=self._stamp or layout.stamp,
            delimiter=self._delimiter or layout.delimiter,
        )

    def open(self, series: Series, partitions: Partitions, precision: Precision) -> CsvBars:
        """Parse and check all rows once.

        Args:
            series: What the files hold.
            partitions: Its partitions (`calendars.partitions_of(series)`).
            precision: The instrument's decimals; prices are taken exactly at these.

        Raises:
            BadRows: If rows break a rule and are not to be skipped; with counts, the first 20 and what to do.
            QuestionUnanswered: If layout, zone, stamp convention or time form have to be declared.
            UsageError: If the layout does not fit the file, or the file holds other bars than said.
            SourceError: If a file cannot be read.
            DiskFull: If the temporary columns have no room.
            StorageFailed: If temporary or rejects files cannot be written.
        """
        verdict = self.verdict(series, partitions)
        verdict.require_decided(self._names)
        files = [
            replace(columns_of(path, layout, series.spec), symbol=self._symbol, prices=self._prices)
            for path, layout in zip(self._paths, verdict.layouts, strict=True)
        ]
        self._require_adjusted(files)
        wanted = Wanted(series, partitions, precision)
        spool = Spool(self._spool_dir, expected_rows(files))
        try:
            reading = read_files(files, wanted, spool, self._progress)
            report = BadRowReport(reading, files, wanted)
            summary = report.set_aside(self._rejects_dir) if self._skip_bad_rows else report.none_or_refuse()
            bars = CsvBars(wanted, reading, spool, summary, self._paths, self._judgement)
        except BaseException:
            spool.close()
            raise
        self._spools.append(spool)
        return bars

    def _require_adjusted(self, files: Sequence[FileColumns]) -> None:
        without = [file.path.name for file in files if "adjusted_close" not in file.positions]
        if self._prices is Prices.ADJUSTED and without:
            raise UsageError(f"{without[0]} has no column of adjusted closes (such as 'Adj Close'), so --adjusted cannot be meant. Leave it out.")

    def plan(self, asked: Asked) -> RequestPlan:
        """Return how many files would be read, and about how long that takes."""
        size = sum(byte_size(path) for path in self._paths)
        return RequestPlan(requests=len(self._paths), seconds=round(size / _BYTES_PER_SECOND, 1), sessions=len(asked.sessions))

    def fetch(self, asked: Asked) -> Iterator[SessionAnswer | SessionFailure | SourceNews]:
        """Yield what the files were taken for and why, then an answer or a failure for each session asked for, oldest first.

        Raises:
            MarketDataError: As `open`, before anything is yielded.
        """
        bars = self._open_once(asked)
        yield SourceNews(NewsKind.NOTE, self._told(self.verdict(asked.series, asked.partitions)), len(self._paths))
        wanted = sorted(set(asked.sessions))
        answers = bars.answers(wanted)
        answer = next(answers, None)
        for date in wanted:
            if answer is not None and answer.session == date:
                yield answer
                answer = next(answers, None)
            else:
                yield SessionFailure(date, self._absent(date, bars))

    def _told(self, verdict: Verdict) -> str:
        return f"{self._names} read as {verdict}: {'; '.join((*verdict.evidence, *verdict.warnings))}"

    def _open_once(self, asked: Asked) -> CsvBars:
        wanted = Wanted(asked.series, asked.partitions, asked.precision)
        if self._opened is None or self._opened[0] != wanted:
            self.close()
            self._opened = (wanted, self.open(asked.series, asked.partitions, asked.precision))
        return self._opened[1]

    def _absent(self, date: dt.date, bars: CsvBars) -> str:
        span = f" (it holds {bars.sessions[0]} to {bars.sessions[-1]})" if bars.sessions else ""
        return f"{self._names} has no bars for {date}{span}."
