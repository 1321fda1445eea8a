"""Imports of several series at once: each in one of a few processes, the files of one series in their order in one of them."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import UsageError
from market_data_pipeline.ingest.definitions import Definitions
from market_data_pipeline.ingest.import_csv import Imported, Run
from market_data_pipeline.ingest.import_files import Done, Rules, import_files
from market_data_pipeline.parallel import Ended, Tell, Told, in_processes
from market_data_pipeline.sources.csv import CsvSource, read_layout
from market_data_pipeline.sources.csv.layout import Prices
from market_data_pipeline.sources.csv.reading import Progress

PLACE_OF_SYMBOL = "{symbol}"


@dataclass(frozen=True)
class CsvFiles:
    """Files and how they are to be read, as a person says it.

    Attributes:
        paths: The files of one series, in the order in which they are read.
        layout: `auto`, the name of a known layout, or a YAML file.
        time_zone, stamp, delimiter, time_form: None is as the files show.
        skip_bad_rows: Store the good rows.
        accept_holes: Take long stretches without bars for thin trading.
        symbol: Whose rows, if a column names symbols; None is all.
        prices: As written, or scaled to the adjusted closes.
        rejects_dir: Where bad rows are listed; None is beside the files.
    """

    paths: tuple[Path, ...]
    layout: str = "auto"
    time_zone: str | None = None
    stamp: str | None = None
    delimiter: str | None = None
    skip_bad_rows: bool = False
    accept_holes: bool = False
    time_form: str | None = None
    symbol: str | None = None
    prices: Prices = Prices.AS_WRITTEN
    rejects_dir: Path | None = None

    def source(self, spool_dir: Path | None = None, progress: Progress | None = None) -> CsvSource:
        """Return the files as a source; with neither folder nor progress to be asked for its verdict."""
        return CsvSource(
            self.paths,
            read_layout(self.layout),
            time_zone=self.time_zone,
            stamp=self.stamp,
            delimiter=self.delimiter,
            time_form=self.time_form,
            symbol=self.symbol,
            prices=self.prices,
            skip_bad_rows=self.skip_bad_rows,
            accept_holes=self.accept_holes,
            rejects_dir=self.rejects_dir,
            spool_dir=spool_dir,
            progress=progress,
        )


@dataclass(frozen=True)
class SeriesImport:
    """A series, and the files that hold it."""

    series: Series
    files: CsvFiles


@dataclass(frozen=True)
class Reading:
    """`done` of `total` bytes have been read and checked."""

    done: int
    total: int


def series_by_file_name(template: str, bar: str, paths: Sequence[Path]) -> dict[Series, tuple[Path, ...]]:
    """Return the series that files hold by their names: `{symbol}.NASDAQ` takes AAPL-2023.csv and AAPL-2024.csv for AAPL.NASDAQ.

    The symbol is the name up to its first `-`, `_` or `.`. Files of one series keep their order.

    Raises:
        UsageError: If a name begins with no symbol, or the id that it makes is none.
    """
    found: dict[Series, tuple[Path, ...]] = {}
    for path in paths:
        symbol = re.split(r"[-_.]", path.name, maxsplit=1)[0]
        if not symbol:
            raise UsageError(f"The name of {path} begins with no symbol, so {template} names no instrument. Import it with --instrument ID.")
        series = Series.of(template.replace(PLACE_OF_SYMBOL, symbol), bar)
        found[series] = (*found.get(series, ()), path)
    return found


def import_several(
    root: Path, imports: Sequence[SeriesImport], definitions: Definitions, rules: Rules, processes: int, wait_s: float = 10.0
) -> Generator[Told | Ended[Done]]:
    """Import series, each in one of several processes; nobody is asked.

    An import that fails ends alone. Each tells `Reading` and `Imported` on its way, and ends with its `Done`. Closing the generator
    stops the imports between two sessions: what is stored is whole and stays.

    Args:
        root: Folder of the catalog.
        imports: Each series once.
        definitions: The definitions in force.
        rules: What to do with conflicts, and whether to store.
        processes: How many at once.
        wait_s: Seconds to wait for another process that writes a series.
    """
    work = partial(_import_one, root, definitions, rules, wait_s)
    yield from in_processes(work, imports, processes, lambda one: f"the import of {one.series}")


def _import_one(root: Path, definitions: Definitions, rules: Rules, wait_s: float, wanted: SeriesImport, tell: Tell) -> Done:
    catalog = Catalog.open(root)
    try:
        # A dry run leaves no folder behind.
        spool_dir = catalog.layout.spool if rules.run is Run.STORE else None
        with wanted.files.source(spool_dir, lambda done, total: tell(Reading(done, total))) as source:
            steps = import_files(catalog, source, wanted.series, definitions, rules, wait_s=wait_s)
            with closing(steps):
                while True:
                    try:
                        tell(next(steps))
                    except StopIteration as end:
                        done: Done = end.value
                        return done
    finally:
        catalog.ledger.close()


class HowFar:
    """How far several imports are together: half of each is reading, half is storing."""

    def __init__(self, number: int) -> None:
        self._shares = [0.0] * number
        self.of = 1_000 * number
        self.rows = self.sessions = 0

    @property
    def done(self) -> int:
        """Out of `of`."""
        return int(1_000 * sum(self._shares))

    def hear(self, event: Told | Ended[Done]) -> None:
        """Take note of news of an import."""
        if isinstance(event, Ended):
            self._shares[event.piece] = 1.0
        elif isinstance(event.news, Reading):
            self._shares[event.piece] = 0.5 * event.news.done / max(event.news.total, 1)
        elif isinstance(event.news, Imported):
            self._shares[event.piece] = 0.5 + 0.5 * event.news.done / event.news.of
            self.rows += event.news.row.rows if event.news.row is not None else 0
            self.sessions += event.news.row is not None
