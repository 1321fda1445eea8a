"""Which source a universe asks. Interactive Brokers joins here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from market_data_pipeline.domain.errors import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.domain.bar_types import Series
    from market_data_pipeline.domain.source import BarSource
    from market_data_pipeline.sources.csv import CsvLayout
    from market_data_pipeline.watchlist import Universe, Watchlist


@contextmanager
def source_of(watchlist: Watchlist, universe: Universe, series: Series, catalog: Catalog) -> Iterator[BarSource]:
    """Open the source of a series, and free what it holds afterwards.

    Raises:
        SourceUnavailable: If no file of the series exists.
    """
    from market_data_pipeline.sources.csv import CsvSource

    files = universe.source
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
