"""Pictures that commands write to files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.output import note
from market_data_pipeline.cli.series_check import SeriesCheck
from market_data_pipeline.domain.errors import NotStored, UsageError


def draw_coverage(catalog: Catalog, checks: Sequence[SeriesCheck], file: Path) -> None:
    """Draw the coverage of the one series that was judged.

    Raises:
        UsageError: If there are several series, or the file is no PNG or its folder is not there.
        NotStored: If there is none.
    """
    if file.suffix.lower() != ".png":
        raise UsageError(f"--picture {file}: name a file that ends in .png.")
    if not file.parent.is_dir():
        raise UsageError(f"--picture {file}: there is no folder {file.parent}.")
    if len(checks) > 1:
        raise UsageError(f"--picture draws one series, and {len(checks):,} match. Choose one with ID and --bar SPEC.")
    if not checks or checks[0].start is None or checks[0].end is None:
        raise NotStored(f"There is nothing to draw: no session is stored in {catalog.root}.")
    from market_data_pipeline.charts.coverage import coverage_png

    one = checks[0]
    file.write_bytes(coverage_png(one.series, catalog.coverage(one.series, checks[0].start, checks[0].end)))
    note(f"drawn: {file}")
