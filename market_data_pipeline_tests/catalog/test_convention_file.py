"""A series knows which hours and prices it holds, whatever happens to the ledger."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.convention_file import NAME
from market_data_pipeline.domain.coverage import Convention, Provenance
from market_data_pipeline.domain.errors import ConflictingBars, CorruptFile
from market_data_pipeline_tests.catalog.bar_making import AAPL, BY_HAND, CENTS, MONDAY, TUESDAY, answer
from market_data_pipeline_tests.conftest import REPOSITORY

REGULAR = Convention(hours="rth", adjustment="split")
BROKER = Provenance("ibkr", "made by hand", REGULAR)


def _stored(root: Path, provenance: Provenance) -> Catalog:
    catalog = Catalog.open(root)
    with catalog.writer(AAPL, CENTS, provenance) as writer:
        writer.store(answer(AAPL, MONDAY))
    return catalog


def _lose_ledger(catalog: Catalog) -> Catalog:
    for path in catalog.root.glob("ledger.sqlite*"):
        path.unlink()
    return Catalog.open(catalog.root)


def test_a_ledger_that_is_lost_loses_no_convention(tmp_path: Path) -> None:
    rebuilt = _lose_ledger(_stored(tmp_path, BROKER))
    assert rebuilt.convention(AAPL) == REGULAR
    with rebuilt.writer(AAPL, CENTS, BROKER) as writer:
        writer.store(answer(AAPL, TUESDAY))
    with pytest.raises(ConflictingBars, match="rth"), rebuilt.writer(AAPL, CENTS, BY_HAND):
        pass


_DIES = """
import os, sys
from market_data_pipeline.catalog import Catalog
from market_data_pipeline_tests.conftest import REPOSITORY
from market_data_pipeline_tests.catalog.bar_making import AAPL, CENTS, MONDAY, answer
from market_data_pipeline_tests.catalog.test_convention_file import BROKER
with Catalog.open(sys.argv[1]).writer(AAPL, CENTS, BROKER) as writer:
    writer.store(answer(AAPL, MONDAY))
    os._exit(9)
"""


def test_a_process_that_dies_before_it_tells_the_ledger_leaves_the_convention(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", _DIES, str(tmp_path)], cwd=REPOSITORY).returncode == 9
    catalog = Catalog.open(tmp_path)
    assert catalog.convention(AAPL) == REGULAR
    assert len(catalog.read_session(AAPL, MONDAY)) == 390


def test_nautilus_reads_past_it(tmp_path: Path) -> None:
    catalog = _stored(tmp_path, BROKER)
    assert (catalog.layout.series_folder(AAPL) / NAME).is_file()
    assert len(ParquetDataCatalog(str(tmp_path)).bars([AAPL.bar_type])) == 390
    assert ParquetDataCatalog(str(tmp_path)).get_intervals(Bar, AAPL.bar_type)


def test_raw_prices_of_all_hours_need_no_file(tmp_path: Path) -> None:
    catalog = _stored(tmp_path, BY_HAND)
    assert not (catalog.layout.series_folder(AAPL) / NAME).exists()
    assert _lose_ledger(catalog).convention(AAPL) == Convention()


@pytest.mark.parametrize("text", ["{", '{"hours": "night", "adjustment": "raw"}'])
def test_a_file_that_cannot_be_read_says_what_to_write(tmp_path: Path, text: str) -> None:
    catalog = _stored(tmp_path, BROKER)
    (catalog.layout.series_folder(AAPL) / NAME).write_text(text)
    with pytest.raises(CorruptFile, match=r'"hours": "rth", "adjustment": "split"'):
        _lose_ledger(catalog).convention(AAPL)
