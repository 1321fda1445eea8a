"""Opening a catalog costs nothing and makes nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline_tests.catalog.bar_making import AAPL, CENTS, FRIDAY, MONDAY, WEEK, writing


def ask_everything(catalog: Catalog) -> None:
    assert catalog.series() == []
    assert catalog.availabilities() == []
    assert catalog.availability(AAPL) is None
    assert catalog.sessions(AAPL) == []
    assert catalog.precision(AAPL) is None
    assert catalog.coverage(AAPL, MONDAY, FRIDAY) == dict.fromkeys(WEEK, Coverage.MISSING)
    assert [str(gap) for gap in catalog.gaps(AAPL, MONDAY, FRIDAY)] == ["2024-02-05 to 2024-02-09 (5 sessions)"]
    assert [*catalog.read(AAPL)] == []
    assert len(catalog.read_session(AAPL, MONDAY)) == 0
    assert [*catalog.arrow(AAPL)] == []
    assert [*catalog.bars(AAPL)] == []
    assert catalog.verify().problems == ()
    assert [problem.kind for problem in catalog.verify([AAPL]).problems] == ["not stored"]


def test_reading_a_catalog_that_does_not_exist_makes_nothing(tmp_path: Path) -> None:
    ask_everything(Catalog.open(tmp_path / "no" / "such"))
    assert [*tmp_path.iterdir()] == []


def test_reading_a_folder_that_is_no_catalog_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("Dear …")
    ask_everything(Catalog.open(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_a_writer_that_stores_nothing_leaves_no_series(catalog: Catalog) -> None:
    with writing(catalog):
        pass
    assert catalog.series() == []
    assert catalog.availability(AAPL) is None
    assert not catalog.layout.bars.exists()


def test_what_the_ledger_knows_is_answered_without_heavy_imports(week: Catalog) -> None:
    """`mdp check` must answer in 0.4 s: pyarrow, pandas, Nautilus and SQLAlchemy cost more."""
    program = (
        "import sys; from market_data_pipeline.catalog import Catalog; c = Catalog.open(sys.argv[1]); s = c.series()[0]; "
        "c.availabilities(); c.gaps(s, *2 * [c.availability(s).first_session]); c.sessions(s); c.precision(s); "
        "print([name for name in ('pyarrow', 'pandas', 'nautilus_trader', 'sqlalchemy', 'filelock') if name in sys.modules])"
    )
    assert week.precision(AAPL) == CENTS
    done = subprocess.run([sys.executable, "-c", program, str(week.root)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
