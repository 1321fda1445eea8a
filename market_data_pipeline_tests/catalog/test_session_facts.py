from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.session_facts import kept_facts, session_facts
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.sessions import day_number
from market_data_pipeline.domain.suspicion import FACT_COLUMNS
from market_data_pipeline_tests.catalog.bar_making import AAPL, FRIDAY, MONDAY, TUESDAY, WEEK, all_bars, answer, put_wide, regular, store, store_week


@pytest.fixture
def week(tmp_path: Path) -> Catalog:
    return store_week(tmp_path / "catalog")


def test_each_session_is_summed_up(week: Catalog) -> None:
    facts = session_facts(week, AAPL)
    bars = regular(AAPL, MONDAY)
    assert facts.days.tolist() == [day_number(date) for date in WEEK]
    assert facts.bars.tolist() == [390] * 5
    assert (facts.open[0], facts.close[0], facts.volume[0]) == (bars.open[0], bars.close[-1], bars.volume.sum())
    assert (facts.high[0], facts.low[0]) == (bars.high.max(), bars.low.min())


def test_only_sessions_that_changed_are_read_again(week: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    session_facts(week, AAPL)
    read: list[object] = []
    original = Catalog.read

    def counted(self: Catalog, series: Series, start: dt.date | None = None, end: dt.date | None = None) -> Iterator[BarTable]:
        read.append((start, end))
        return original(self, series, start, end)

    monkeypatch.setattr(Catalog, "read", counted)
    session_facts(week, AAPL)
    assert read == []
    store(week, answer(AAPL, TUESDAY, seed=9))
    facts = session_facts(Catalog.open(week.root), AAPL)
    assert read == [(TUESDAY, TUESDAY)]
    assert facts.close[1] == regular(AAPL, TUESDAY, seed=9).close[-1]
    assert np.array_equal(kept_facts(week, AAPL).close, facts.close)


def test_a_session_that_vanished_is_forgotten(week: Catalog) -> None:
    session_facts(week, AAPL)
    files = sorted(week.layout.series_folder(AAPL).glob("*.parquet"))
    files[-1].unlink()
    assert day_number(FRIDAY) not in session_facts(Catalog.open(week.root), AAPL).days


def test_files_of_many_sessions_and_sessions_of_several_files_are_summed_up_alike(week: Catalog, tmp_path: Path) -> None:
    bars, other = all_bars(week), Catalog.open(tmp_path / "other")
    put_wide(other, bars.slice(0, 500))
    put_wide(other, bars.slice(500, len(bars)))
    expected, found = session_facts(week, AAPL), session_facts(other, AAPL)
    for name in FACT_COLUMNS:
        assert np.array_equal(found.column(name), expected.column(name)), name


def test_a_damaged_file_of_facts_is_made_again(week: Catalog) -> None:
    before = session_facts(week, AAPL)
    (file,) = (week.root / "facts").iterdir()
    for content in (b"", b"PK\x03\x04 nonsense", file.read_bytes()[:200]):
        file.write_bytes(content)
        assert len(kept_facts(week, AAPL)) == 0
        assert np.array_equal(session_facts(week, AAPL).close, before.close)


def test_nothing_stored_is_no_facts(tmp_path: Path) -> None:
    assert len(session_facts(Catalog.open(tmp_path / "catalog"), AAPL)) == 0
    assert not (tmp_path / "catalog").exists()
