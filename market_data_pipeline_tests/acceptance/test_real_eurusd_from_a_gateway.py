"""Real EUR/USD served by the simulated gateway, loaded as from IBKR: the same bars as the import of the file they were served from."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.import_csv import import_csv
from market_data_pipeline.sources.csv import CsvSource
from market_data_pipeline_tests.gateway import start_gateway

QUARTERS = Series.parse("EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL")
FIRST, LAST = dt.date(2024, 1, 2), dt.date(2024, 12, 31)


def _bars(catalog: Catalog) -> BarTable:
    return BarTable.concatenate([*catalog.read(QUARTERS, FIRST, LAST)])


@pytest.mark.timeout(300)
def test_a_year_of_real_quarters_of_an_hour_comes_through_the_socket_unchanged(market_data: Path, tmp_path: Path) -> None:
    """2024: two changes of clocks, Good Friday, Christmas and New Year of IDEALPRO; two weeks a request by the documented sizes."""
    (source,) = (market_data / "ibkr-csv").glob("*15_MINUTE*")
    from_file = Catalog.open(tmp_path / "file")
    with CsvSource([source], stamp="close", accept_holes=True) as bars:
        for _ in import_csv(from_file, bars, QUARTERS, Precision(5, 2)):
            pass
    recorded = tmp_path / "recorded"
    recorded.mkdir()
    (recorded / "bars.csv").symlink_to(source)
    (recorded / "recorded.yaml").write_text(
        'series:\n  - {file: bars.csv, instrument: "EUR/USD.IDEALPRO", bars: "15-MINUTE-MID", stamp: close}\n', encoding="utf-8"
    )
    (tmp_path / "pacing.yaml").write_text("scale: 0.01\n")
    with start_gateway(tmp_path / "gateway", "--data", str(recorded), "--no-pacing") as gateway:
        environment = {
            **os.environ,
            "IB_PORT": str(gateway.port),
            "IB_STATE": str(tmp_path / "state"),
            "IB_PACING": str(tmp_path / "pacing.yaml"),
            "IB_PACING_DB": str(tmp_path / "pacing.sqlite"),
        }
        command = [str(Path(sys.executable).with_name("mdp")), "load", "EUR/USD.IDEALPRO", "15-MINUTE-MID", "--mode", "full"]
        command += ["--start", str(FIRST), "--end", str(LAST), "--catalog", str(tmp_path / "broker"), "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    from_broker = Catalog.open(tmp_path / "broker")
    expected, found = _bars(from_file), _bars(from_broker)
    assert len(found) == len(expected) > 24_000
    assert found.fingerprint() == expected.fingerprint()
    assert from_broker.gaps(QUARTERS, FIRST, LAST) == ()
