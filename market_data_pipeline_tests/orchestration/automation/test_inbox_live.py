"""The inbox and a real daemon: files that a person drops are imported and shown, or set aside with a report."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.browser import Browser
from market_data_pipeline_tests.orchestration.conftest import Project, write_csv
from market_data_pipeline_tests.orchestration.page import dagster_dev, wait_until

BARS = "stocks/bars_5_minute_last"
AAPL = Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")
GOOD, BAD = "AAPL.NASDAQ-5-MINUTE-LAST.csv", "MSFT.NASDAQ-5-MINUTE-LAST.csv"
_RULES = """
rests_s: 2
rules:
  - {pattern: "{instrument}-{bar}.csv", time_zone: America/New_York, stamp: open}
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_files_that_are_dropped_are_imported_by_the_running_daemon(project: Project, browser: Browser, tmp_path: Path) -> None:
    """January 2024 had 21 NYSE sessions (NYSE holiday calendar 2024); the bad file's prices are words."""
    inbox = project.root / "inbox"
    inbox.mkdir()
    (project.root / "inbox.yaml").write_text(_RULES)
    with dagster_dev(project.root / "home", project.settings) as page:
        page.start_sensor("inbox")
        write_csv(tmp_path / GOOD, "AAPL.NASDAQ")
        (tmp_path / GOOD).rename(inbox / GOOD)
        wait_until((inbox / "done" / GOOD).exists, 120)
        wait_until(lambda: all(run.is_finished for run in imports(project)))
        available = project.catalog.availability(AAPL)
        assert available is not None
        assert (available.complete, available.rows) == (21, 21 * 78)
        assert len(project.shown(BARS)) == 21
        browser.goto(f"{page.url}/assets/{BARS}?view=partitions")
        browser.wait_for_text("Materialized (21)", 60)

        write_csv(tmp_path / BAD, "MSFT.NASDAQ")
        text = (tmp_path / BAD).read_text().replace("2024-01-05 09:35:00,1", "2024-01-05 09:35:00,one")
        assert "one" in text
        (inbox / BAD).write_text(text)
        wait_until((inbox / "rejected" / BAD).exists, 120)
        wait_until(lambda: all(run.is_finished for run in imports(project)))
    report = (inbox / "rejected" / f"{BAD}.report.txt").read_text()
    assert "one" in report
    assert "mdp import-csv" in report
    assert [path.name for path in inbox.iterdir() if path.is_file() and not path.name.startswith(".")] == []
    assert sorted(run.status.value for run in imports(project)) == ["FAILURE", "SUCCESS"], "one run a file, and the bad one is told"
    assert len(project.shown(BARS)) == 21, "nothing of the bad file"


def imports(project: Project) -> list[dg.DagsterRun]:
    return list(project.instance.get_runs(dg.RunsFilter(job_name="inbox_import")))
