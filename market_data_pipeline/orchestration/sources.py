"""Which source a universe asks, and what it needs to know first: the decimals of the instrument, whose definition is stored before any bar."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import SourceUnavailable
from market_data_pipeline.ingest.instruments import stored_or_defined

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.domain.source import BarSource, Precision
    from market_data_pipeline.sources.csv import CsvLayout
    from market_data_pipeline.sources.ibkr import IbkrGateway
    from market_data_pipeline.watchlist import CsvFiles, Universe, Watchlist


@dataclass(frozen=True)
class OpenedSource:
    """A source that can be asked for bars of one series.

    Attributes:
        source: The source.
        precision: Decimals of the instrument.
        stale: Sessions that are stored whole and out of date, because the finer bars that they were derived from were replaced.
    """

    source: BarSource
    precision: Precision
    stale: frozenset[dt.date] = frozenset()


@contextmanager
def source_of(
    watchlist: Watchlist, universe: Universe, series: Series, catalog: Catalog, gateway: Callable[[], IbkrGateway]
) -> Iterator[OpenedSource]:
    """Open the source of a series, and free what it holds afterwards. The instrument's definition is stored first.

    For bars that the universe derives, that is the stored series of finer bars; nobody is asked.

    Args:
        watchlist: Knows where files and definitions are.
        universe: The universe of the series.
        series: The series.
        catalog: Where definition and bars go.
        gateway: Opens the gateway; only called for a universe whose source is the broker.

    Raises:
        SourceUnavailable: If no file of the series exists, or no gateway answers.
        InstrumentNotFound: If none is stored and none is known.
        NotStored: If bars are derived, and nothing of the finer series is stored.
    """
    if (finer := universe.derived.get(str(series.spec))) is not None:
        from market_data_pipeline.ingest.derive import open_derived

        derived = open_derived(catalog, series, Series.of(series.instrument_id, finer))
        yield OpenedSource(derived.source, derived.precision, derived.stale)
        return
    if universe.files is None:
        from market_data_pipeline.ingest.from_broker import open_series
        from market_data_pipeline.sources.ibkr import Hours

        asked = open_series(catalog, gateway(), series, Hours(universe.hours) if universe.hours else None)
        yield OpenedSource(asked.source, asked.instrument.precision)
        return
    precision = stored_or_defined(catalog, series.instrument_id, lambda: watchlist.definitions)
    with _csv_source(watchlist, universe.files, series, catalog) as source:
        yield OpenedSource(source, precision)


@contextmanager
def _csv_source(watchlist: Watchlist, files: CsvFiles, series: Series, catalog: Catalog) -> Iterator[BarSource]:
    from market_data_pipeline.sources.csv import CsvSource
    from market_data_pipeline.sources.csv.layout import Prices

    paths = files.paths(watchlist.project, series)
    if not paths:
        raise SourceUnavailable(
            f"There is no file {files.pattern_of(series)} with bars of {series} (looked below {watchlist.project}). "
            "Put it there, or correct `csv` of the universe in the watchlist; the sample files are made by `python -m market_data_pipeline.samples`."
        )
    with CsvSource(
        paths,
        _layout(files.layout, watchlist.project),
        time_zone=files.time_zone,
        stamp=files.stamp,
        time_form=files.time_form,
        symbol=files.symbol,
        prices=Prices.ADJUSTED if files.adjusted else Prices.AS_WRITTEN,
        skip_bad_rows=files.skip_bad_rows,
        rejects_dir=catalog.root / "rejects",
        accept_holes=files.accept_holes,
        spool_dir=catalog.layout.spool,
    ) as source:
        yield source


def _layout(layout: str | Mapping[str, object] | None, project: Path) -> CsvLayout | None:
    """Return a layout by its name, its file (relative to the project) or its description; None is by the header of each file."""
    from market_data_pipeline.sources.csv import layout_from_mapping, read_layout

    if layout is None:
        return None
    if isinstance(layout, str):
        return read_layout(str(project / layout) if layout.endswith((".yaml", ".yml")) else layout)
    return layout_from_mapping(layout)
