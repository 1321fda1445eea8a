"""Whatever is done to a catalog, its bars, coverage and fingerprints are those of a twin that was never compacted, and Nautilus reads the same."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.coverage import SessionAnswer
from market_data_pipeline_tests.catalog.bar_making import AAPL, all_bars, empty, morning, rebuilt, store
from market_data_pipeline_tests.catalog.months import joined, short, taken_apart

DATES = partitions_of(AAPL).dates_between(dt.date(2024, 2, 1), dt.date(2024, 4, 2))
"""February and March 2024, 40 sessions, and two of April."""

Operation = tuple[str, int, int]
stores = st.tuples(st.sampled_from(["whole", "part", "empty"]), st.integers(0, len(DATES) - 1), st.integers(0, 3))
cares = st.tuples(st.sampled_from(["join", "join", "undo", "rebuild", "verify"]), st.just(0), st.just(0))


def answer_of(kind: str, position: int, seed: int) -> SessionAnswer:
    """Return an answer for a session."""
    date = DATES[position]
    match kind:
        case "whole":
            return short(date, seed, 5 + seed)
        case "part":
            return morning(AAPL, date, 2 + seed, seed)
    return empty(AAPL, date)


def both(root: Path) -> tuple[Catalog, Catalog]:
    """Return two catalogs with the same sessions."""
    found = []
    for name in ("compacted", "twin"):
        catalog = Catalog.open(root / name)
        store(catalog, *(short(date, bars=4) for date in DATES))
        found.append(catalog)
    return found[0], found[1]


def test_what_is_joined_and_taken_apart_stays_the_same(tmp_path: Path) -> None:
    compacted, twin = both(tmp_path)
    for care in (joined, taken_apart, joined):
        care(compacted)
        assert all_bars(compacted).fingerprint() == all_bars(twin).fingerprint()
        assert compacted.contents(AAPL) == twin.contents(AAPL)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(stores, cares), min_size=1, max_size=12))
def test_mixed_operations_leave_the_same_as_without_compaction(operations: list[Operation]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _compare(Path(folder), operations)


def test_some_mixed_operations_leave_the_same_as_without_compaction(tmp_path: Path) -> None:
    """The first and the last session of a month, whole, in part and empty, before and after a ledger that was lost."""
    edges = [0, 19, 20, 39, 41, 7]
    for number, kind in enumerate(("part", "whole", "empty")):
        kinds: list[Operation] = [(kind, position, number) for position in edges]
        mixed: list[Operation] = [("join", 0, 0), *kinds[:3], ("rebuild", 0, 0), *kinds[3:], ("whole", 19, 2), ("join", 0, 0), ("verify", 0, 0)]
        _compare(tmp_path / kind, [*mixed, ("undo", 0, 0)])


def _compare(root: Path, operations: list[Operation]) -> None:
    compacted, twin = both(root)
    care: dict[str, Callable[[Catalog], object]] = {"join": joined, "undo": taken_apart, "verify": lambda one: one.verify([AAPL])}
    for kind, position, seed in operations:
        if kind == "rebuild":
            compacted, twin = rebuilt(compacted), rebuilt(twin)
        elif kind in care:
            care[kind](compacted)
        else:
            for one in (compacted, twin):
                store(one, answer_of(kind, position, seed))
        assert compacted.contents(AAPL) == twin.contents(AAPL), (kind, position)
    assert all_bars(compacted).fingerprint() == all_bars(twin).fingerprint()
    assert rebuilt(compacted).contents(AAPL) == rebuilt(twin).contents(AAPL)
    assert not [one for one in compacted.verify([AAPL]).problems if one.kind != "orphan bars"]
    theirs = [ParquetDataCatalog(one.root).query(Bar, identifiers=[AAPL.bar_type]) for one in (compacted, twin)]
    assert theirs[0] == theirs[1]
    for one in (compacted, twin):
        one.ledger.close()
