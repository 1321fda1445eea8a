"""Warm-ups against a simulated gateway in a process of its own, and what a later full load of the same sessions gives."""

from __future__ import annotations

import datetime as dt
import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.ingest.from_broker import Order, load_from_broker
from market_data_pipeline.ingest.modes import Mode, Reach
from market_data_pipeline.live.history import History
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, IbkrSettings
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway

MINUTES = Series.of("AAPL.NASDAQ", "1-MINUTE-LAST")
DAYS = Series.of("AAPL.NASDAQ", "1-DAY-LAST")
PAIR = Series.of("EUR/USD.IDEALPRO", "15-MINUTE-MID")
ELEVEN = "2024-01-11T16:00:30Z"
"""11:00:30 in New York on Thursday, 11 January 2024: 90 minute bars of the session have closed, and the next one is forming."""

_HASTE = """small_bars: {requests: 100000, same_contract: 100000, same_contract_s: 0.01, identical_s: 0.01}
messages_s: 0.01
delay_s: 0.01
delay_share: 0
"""


def settings_of(folder: Path, port: int, pacing: str = _HASTE, **given: Any) -> IbkrSettings:
    """Return settings under which nothing waits, and nothing outside `folder` is written."""
    folder.mkdir(parents=True, exist_ok=True)
    rules = folder / "pacing.yaml"
    rules.write_text(pacing)
    usual = {"wait_scale": 0.0, "reconnect_s": 0.0, "connect_timeout_s": 5.0}
    return IbkrSettings(port=port, pacing=str(rules), pacing_db=str(folder / "pacing.sqlite"), state=folder / "state", **(usual | given))


@contextmanager
def simulated(folder: Path, *flags: str, now: str = ELEVEN, **given: Any) -> Iterator[tuple[RunningGateway, IbkrGateway]]:
    """Run a gateway whose clock stands still, and a client of it."""
    with (
        start_gateway(folder / "gateway", "--no-pacing", "--now", now, "--speed", "0", *flags) as process,
        IbkrGateway(settings_of(folder / "client", process.port, **given)) as gateway,
    ):
        yield process, gateway


@contextmanager
def nobody(folder: Path) -> Iterator[IbkrGateway]:
    """Lend a client of a port where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with IbkrGateway(settings_of(folder / "client", port)) as gateway:
        yield gateway


def asked_so_far(process: RunningGateway) -> int:
    """Return how many requests for bars a gateway has had."""
    return int(process.statistics()["requests"]["by_kind"].get("history", 0))


def fill(root: Path, gateway: IbkrGateway, series: Series, first: str, last: str | None = None, hours: Hours | None = None) -> Catalog:
    """Load sessions as `mdp load` does, and return the catalog."""
    catalog = Catalog.open(root)
    reach = Reach(Mode.FULL, dt.date.fromisoformat(first), None if last is None else dt.date.fromisoformat(last))
    steps = load_from_broker(catalog, gateway, [Order(series, reach, hours)])
    while True:
        try:
            next(steps)
        except StopIteration as end:
            (outcome,) = end.value
            assert not outcome.failed, outcome
            return catalog


def later(root: Path, gateway: IbkrGateway, series: Series, first: str, history: History) -> BarTable:
    """Return the newest bars up to the end of a history, as a load long after gives them."""
    catalog = fill(root, gateway, series, first)
    bars = BarTable.concatenate([*catalog.read(series)])
    catalog.ledger.close()
    bars = bars.take(bars.ts_init <= history.until_ns)
    return bars.slice(max(0, len(bars) - history.wanted), len(bars))


def prints(root: Path) -> dict[str, str]:
    """Return every file below a folder and a digest of its content."""
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(root.rglob("*")) if path.is_file()}
