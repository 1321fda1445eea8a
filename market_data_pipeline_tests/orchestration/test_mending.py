"""The table of gaps says why each is one."""

from __future__ import annotations

import datetime as dt

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.mending import why
from market_data_pipeline_tests.orchestration.conftest import Project


def test_a_gap_says_what_was_never_stored_and_what_only_in_part(project: Project) -> None:
    """The file loses the last hour, 12 bars of 78, of 2024-01-04, and all of 2024-01-05."""
    path = project.root / "csv" / "AAPL.NASDAQ-5-MINUTE-LAST.csv"
    lines = path.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("2024-01-04 15:", "2024-01-05"))]
    path.write_text("\n".join(kept) + "\n")
    project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-05|AAPL.NASDAQ")
    series = Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")
    (gap,) = project.catalog.gaps(series, dt.date(2024, 1, 2), dt.date(2024, 1, 5))
    assert gap.sessions == 2
    assert why(project.catalog, series, gap) == "1 never stored; 2024-01-04 in part: 66 of 78 bars, 60 min without one"
