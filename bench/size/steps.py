"""`python -m bench.size.steps NAME ARGUMENT…`: one piece of work in this process; prints its seconds, imports and made input not counted.

Each is measured in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.size.child import Spent, run
from bench.size.scale import series_of


@dataclass(frozen=True)
class Step:
    """What a step took.

    Attributes:
        seconds: Of its work alone.
        count: What it worked on: bars, or what its function says.
        spent: What its process took.
    """

    seconds: float
    count: int
    spent: Spent


def step(name: str, *arguments: object) -> Step:
    """Run a step in a process of its own."""
    spent = run([sys.executable, "-W", "ignore", "-m", __name__ if __name__ != "__main__" else "bench.size.steps", name, *map(str, arguments)])
    seconds, count = json.loads(spent.output.splitlines()[-1])
    return Step(seconds, count, spent)


class _Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - started

    def best(self, rounds: int, work: Callable[[], int]) -> int:
        from bench.lines import best_of

        counts = set()
        self.seconds += best_of(rounds, lambda: counts.add(work()))
        (count,) = counts
        return count


def _ready() -> None:
    """Load what reads bars, and the calendar: work that a process does once."""
    import pyarrow.dataset
    import pyarrow.parquet  # noqa: F401

    import market_data_pipeline.catalog.reading  # noqa: F401
    from market_data_pipeline.calendars import partitions_of

    partitions_of(series_of(0))


def _nautilus_ready() -> None:
    """Load what makes Nautilus' objects."""
    import nautilus_trader.persistence.catalog  # noqa: F401

    import market_data_pipeline.catalog.instruments
    import market_data_pipeline.catalog.verify  # noqa: F401

    _ready()


def _numbers(start: str, stop: str) -> Iterable[int]:
    return range(int(start), int(stop))


# Storing


def make_csv(clock: _Clock, folder: str, start: str, stop: str, first: str, last: str) -> int:
    """Write a CSV file of each symbol."""
    from bench.importing import write_csv
    from bench.made import joined, sessions

    Path(folder).mkdir(exist_ok=True)
    bars = 0
    for number in _numbers(start, stop):
        made = joined(sessions(dt.date.fromisoformat(first), dt.date.fromisoformat(last), series_of(number), number + 1))
        write_csv(Path(folder) / f"{number}.csv", made)
        bars += len(made)
    return bars


def import_files(clock: _Clock, root: str, folder: str, start: str, stop: str) -> int:
    """Import a CSV file of each symbol, one after another, as `mdp import-csv` does."""
    from bench.made import CENTS
    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.ingest.import_csv import import_csv
    from market_data_pipeline.sources.csv import CsvSource

    _nautilus_ready()
    catalog = Catalog.open(root)
    bars = 0
    for number in _numbers(start, stop):
        _define(root, number)
        with clock.running(), CsvSource([Path(folder) / f"{number}.csv"], time_zone="UTC", stamp="open", spool_dir=Path(folder)) as source:
            bars += sum(one.row.rows for one in import_csv(catalog, source, series_of(number), CENTS) if one.row is not None)
    return bars


def import_by_script(clock: _Clock, root: str, file: str, number: str) -> int:
    """Import one file the way a script does: read_csv, a Bar object a row, one `write_data`."""
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    from bench.importing import bars_of

    with clock.running():
        bars = bars_of(Path(file), series_of(int(number)))
        ParquetDataCatalog(root).write_data(bars)
    return len(bars)


def write(clock: _Clock, root: str, start: str, stop: str, first: str, last: str) -> int:
    """Store made sessions of each symbol with the writer."""
    from bench.made import CENTS, sessions
    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.domain.coverage import Provenance

    catalog = Catalog.open(root)
    bars = 0
    for number in _numbers(start, stop):
        series = series_of(number)
        _define(root, number)
        answers = sessions(dt.date.fromisoformat(first), dt.date.fromisoformat(last), series, number + 1)
        with clock.running(), catalog.writer(series, CENTS, Provenance("bench", "made")) as writer:
            for answer in answers:
                bars += writer.store(answer).rows
    return bars


def write_bare(clock: _Clock, folder: str, number: str, first: str, last: str) -> int:
    """Write made sessions of one symbol with pyarrow alone."""
    from bench.made import sessions
    from bench.writing import bare_pyarrow
    from market_data_pipeline.calendars import partitions_of
    from market_data_pipeline.catalog.bar_format import encode

    series = series_of(int(number))
    answers = sessions(dt.date.fromisoformat(first), dt.date.fromisoformat(last), series, int(number) + 1)
    windows = [partitions_of(series).window(answer.session) for answer in answers]
    with clock.running():
        bare_pyarrow(Path(folder), (encode(answer.bars, series) for answer in answers), windows)
    return sum(len(answer.bars) for answer in answers)


def _define(root: str, number: int) -> None:
    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define

    known = {"instruments": [{"id": series_of(number).instrument_id, "type": "equity", "currency": "USD", "price_precision": 2}]}
    definitions = InstrumentDefinitions.model_validate(known)
    Catalog.open(root).instruments.put(define(series_of(number).instrument_id, definitions), "bench")


# Asking and reading


def availability(clock: _Clock, root: str, rounds: str) -> int:
    """Ask for the availability of all series; counts sessions."""
    from market_data_pipeline.calendars import partitions_of
    from market_data_pipeline.catalog import Catalog

    partitions_of(series_of(0))  # a process builds its calendar once
    return clock.best(int(rounds), lambda: sum(one.stored for one in Catalog.open(root).availabilities()))


def intervals(clock: _Clock, root: str, stop: str) -> int:
    """Ask Nautilus' catalog what the names of each series' files cover; counts intervals."""
    from nautilus_trader.model.data import Bar
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    catalog = ParquetDataCatalog(root)
    return clock.best(1, lambda: sum(len(catalog.get_intervals(Bar, series_of(number).bar_type)) for number in range(int(stop))))


def session(clock: _Clock, root: str, number: str, date: str, rounds: str) -> int:
    """Read one session to Bar objects, with a catalog that has just been opened."""
    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.catalog.reading import to_nautilus

    _nautilus_ready()
    series, day = series_of(int(number)), dt.date.fromisoformat(date)
    return clock.best(int(rounds), lambda: len(to_nautilus(Catalog.open(root).read_session(series, day), series)))


def columns(clock: _Clock, root: str, start: str, stop: str, rounds: str) -> int:
    """Read all of each symbol to checked columns, file by file."""
    from market_data_pipeline.catalog import Catalog

    _ready()
    catalog = Catalog.open(root)
    return clock.best(int(rounds), lambda: sum(len(table) for number in _numbers(start, stop) for table in catalog.read(series_of(number))))


def columns_bare(clock: _Clock, root: str, start: str, stop: str) -> int:
    """Read all of each symbol to Arrow tables with pyarrow's dataset, nothing checked."""
    import pyarrow.dataset as ds

    _ready()
    folders = [Path(root) / "data" / "bar" / series_of(number).folder for number in _numbers(start, stop)]
    return clock.best(1, lambda: sum(ds.dataset(folder, format="parquet").to_table(use_threads=False).num_rows for folder in folders))


def bars(clock: _Clock, root: str, number: str, rounds: str) -> int:
    """Read all of one symbol to Bar objects, in chunks that are let go."""
    from market_data_pipeline.catalog import Catalog

    catalog, series = Catalog.open(root), series_of(int(number))
    _nautilus_ready()
    return clock.best(int(rounds), lambda: sum(map(len, catalog.bars(series))))


def query(clock: _Clock, root: str, number: str, rounds: str) -> int:
    """Read all of one symbol to Bar objects with Nautilus' query, which returns them at once."""
    from nautilus_trader.model.data import Bar
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    catalog, series = ParquetDataCatalog(root), series_of(int(number))
    return clock.best(int(rounds), lambda: len(catalog.query(Bar, identifiers=[series.bar_type])))


def verify(clock: _Clock, root: str) -> int:
    """Verify the catalog; counts files."""
    from market_data_pipeline.catalog import Catalog

    _nautilus_ready()
    with clock.running():
        report = Catalog.open(root).verify()
    if report.problems:
        raise AssertionError(report.problems[:3])
    return report.files


def verify_bare(clock: _Clock, root: str) -> int:
    """Read each bar file with pyarrow, its page checksums compared and nothing else; counts files."""
    import pyarrow.parquet as pq

    files = sorted((Path(root) / "data" / "bar").glob("*/*.parquet"))
    _ready()
    with clock.running():
        for file in files:
            pq.ParquetFile(file, page_checksum_verification=True).read(use_threads=False)
    return len(files)


_STEPS: tuple[Callable[..., int], ...] = (
    make_csv,
    import_files,
    import_by_script,
    write,
    write_bare,
    availability,
    intervals,
    session,
    columns,
    columns_bare,
    bars,
    query,
    verify,
    verify_bare,
)


def main(name: str, *arguments: str) -> None:
    """Do a step and print its seconds and its count."""
    work = {one.__name__: one for one in _STEPS}[name]
    clock = _Clock()
    count = work(clock, *arguments)
    print(f"\n{json.dumps([clock.seconds, count])}")


if __name__ == "__main__":
    main(*sys.argv[1:])
