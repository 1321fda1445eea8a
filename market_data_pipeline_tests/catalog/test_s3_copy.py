"""A copy of the catalog on an S3 server, read by Nautilus alone, as docs/cluster.md says: the same bars, the same backtest."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from market_data_pipeline_tests.backtest.made_bars import walk
from market_data_pipeline_tests.conftest import REPOSITORY
from market_data_pipeline_tests.processes import running

BAR_TYPE = "AAPL.NASDAQ-15-MINUTE-LAST-EXTERNAL"
_PATIENCE_S = 60.0

# In a process of its own, as users do it; the storage options are those of the guide.
_READ = """
import json, sys, warnings
from nautilus_trader.backtest.config import BacktestDataConfig, BacktestEngineConfig, BacktestRunConfig, BacktestVenueConfig
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.config import ImportableStrategyConfig, LoggingConfig
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog
warnings.simplefilter("ignore")
path, bar_type, options, rust_options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
how, where = ({}, {}) if not options else (
    {"fs_protocol": "s3", "fs_storage_options": options, "fs_rust_storage_options": rust_options},
    {"catalog_fs_protocol": "s3", "catalog_fs_storage_options": options, "catalog_fs_rust_storage_options": rust_options},
)
catalog = ParquetDataCatalog(path, **how)
bars = catalog.bars([bar_type])
day = catalog.bars([bar_type], start="2024-01-05T00:00:00Z", end="2024-01-05T23:59:59Z")
cross = "market_data_pipeline.backtest.strategies.sma_cross:SmaCross"
settings = {"instrument_id": "AAPL.NASDAQ", "bar_type": bar_type, "fast_period": 5, "slow_period": 20}
node = BacktestNode([BacktestRunConfig(
    venues=[BacktestVenueConfig(name="NASDAQ", oms_type="NETTING", account_type="MARGIN", base_currency="USD", starting_balances=["1000000 USD"])],
    data=[BacktestDataConfig(catalog_path=path, data_cls=Bar, bar_types=[bar_type], **where)],
    engine=BacktestEngineConfig(
        logging=LoggingConfig(bypass_logging=True), strategies=[ImportableStrategyConfig(cross, cross + "Config", settings)]),
    raise_exception=True, dispose_on_completion=False,
)])
[result] = node.run()
print(json.dumps({
    "instruments": [one.id.value for one in catalog.instruments()], "bars": [Bar.to_dict(bar) for bar in bars], "day": len(day),
    "intervals": catalog.get_intervals(Bar, bar_type), "orders": result.total_orders, "pnl": result.stats_pnls["USD"]["PnL (total)"],
}))
"""
_COPY = """
import json, sys
import s3fs
files = s3fs.S3FileSystem(**json.loads(sys.argv[1]))
files.call_s3("create_bucket", Bucket="bars")
files.put(sys.argv[2], "bars/catalog/data", recursive=True)
"""


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """An empty S3 server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running("moto_server", ["-H", "127.0.0.1", "-p", str(port)], {}, tmp_path / "moto.log"):
        until = time.monotonic() + _PATIENCE_S
        while True:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < until, (tmp_path / "moto.log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"


def guide_options(endpoint: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the storage options that docs/cluster.md gives, for this server."""
    guide = (REPOSITORY / "docs" / "cluster.md").read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE) if "fs_rust_storage_options" in block]
    found: dict[str, Any] = {}
    exec(block.partition("catalog =")[0].replace("http://127.0.0.1:9000", endpoint), found)
    return found["options"], found["rust_options"]


def program(source: str, *arguments: str) -> str:
    command = [sys.executable, "-c", source, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=REPOSITORY, env=os.environ | {"AWS_EC2_METADATA_DISABLED": "true"}, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return done.stdout


@pytest.mark.slow
def test_nautilus_reads_a_copy_on_s3_as_it_reads_the_catalog(tmp_path: Path, endpoint: str) -> None:
    """Sessions 2 to 12 January 2024: nine, of 26 quarters of an hour (NYSE holiday calendar 2024)."""
    root = tmp_path / "catalog"
    walk(root, BAR_TYPE, "2024-01-02", "2024-01-12")
    options, rust_options = guide_options(endpoint)
    program(_COPY, json.dumps(options), str(root / "data"))
    there = json.loads(program(_READ, "bars/catalog", BAR_TYPE, json.dumps(options), json.dumps(rust_options)))
    here = json.loads(program(_READ, str(root), BAR_TYPE, "{}", "{}"))
    assert (len(there["bars"]), there["day"], there["instruments"]) == (9 * 26, 26, ["AAPL.NASDAQ"])
    assert there["orders"] > 0
    assert there == here
