"""The same gateway asked by us and by Nautilus' own historical client: identical instruments, identical bars."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.objects import Price, Quantity

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.sources.ibkr import IbkrGateway, IbkrSource, instrument_of, resolve
from market_data_pipeline_tests.sources.ibkr.asking import asked_for, hear, simulated

IDS = [
    *("AAPL.NASDAQ", "RBLX.NYSE", "SPY.ARCA", "BRK-B.NYSE", "ES.NYSE"),
    *("EUR/USD.IDEALPRO", "USD/JPY.IDEALPRO", "ESU4.CME", "CLN4.NYMEX", "^SPX.CBOE", "BTC/USD.PAXOS"),
]
# Instrument, bars, first and last session, end and duration by which Nautilus asks for them, regular hours only.
BARS = [
    ("AAPL.NASDAQ", "1-MINUTE-LAST", "2024-05-30", "2024-05-31", "2024-06-01T00:00:00", "2 D", True),
    ("AAPL.NASDAQ", "5-MINUTE-BID", "2024-05-30", "2024-05-31", "2024-06-01T00:00:00", "2 D", True),
    ("RBLX.NYSE", "1-HOUR-LAST", "2024-05-30", "2024-05-31", "2024-06-01T00:00:00", "2 D", True),
    ("MSFT.NASDAQ", "1-DAY-LAST", "2024-05-01", "2024-05-31", "2024-06-01T00:00:00", "22 D", True),
    ("EUR/USD.IDEALPRO", "15-MINUTE-MID", "2024-05-27", "2024-05-31", "2024-05-31T21:00:00", "5 D", False),
    ("EUR/USD.IDEALPRO", "1-DAY-MID", "2024-05-27", "2024-05-31", "2024-05-31T21:00:00", "5 D", False),
    ("ESU4.CME", "5-MINUTE-LAST", "2024-05-30", "2024-05-31", "2024-05-31T21:00:00", "2 D", False),
]
_PATIENCE_S = 150


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IbkrGateway, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("beside")
    with simulated(folder) as (process, gateway):
        wanted = {
            "host": process.host,
            "port": process.port,
            "ids": IDS,
            "bars": [[instrument_id, spec, end, duration, rth] for instrument_id, spec, _, _, end, duration, rth in BARS],
        }
        told = folder / "nautilus.json"
        command = [sys.executable, "-m", "market_data_pipeline_tests.sources.ibkr.nautilus_client", json.dumps(wanted), str(told)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        yield gateway, json.loads(told.read_text(encoding="utf-8"))


@pytest.mark.parametrize("instrument_id", IDS)
def test_instruments_are_identical_in_every_field(both: tuple[IbkrGateway, dict[str, Any]], instrument_id: str) -> None:
    gateway, nautilus = both
    instrument = instrument_of(resolve(gateway, instrument_id))
    ours = json.loads(json.dumps(type(instrument).to_dict(instrument)))
    theirs = next(one for one in nautilus["instruments"] if one["id"] == instrument_id)
    for name in ("ts_event", "ts_init"):  # when each was made
        del ours[name], theirs[name]
    assert ours == theirs


@pytest.mark.parametrize("number", range(len(BARS)), ids=lambda number: f"{BARS[number][0]} {BARS[number][1]}")
def test_bars_are_identical_in_every_field(both: tuple[IbkrGateway, dict[str, Any]], number: int) -> None:
    gateway, nautilus = both
    instrument_id, spec, first, last, *_ = BARS[number]
    series = Series.of(instrument_id, spec)
    instrument = instrument_of(resolve(gateway, instrument_id))
    precision = Precision(instrument.price_precision, instrument.size_precision)
    heard = hear(IbkrSource(gateway, series), asked_for(series, first, last, precision))
    assert set(heard.coverage) == {"complete"}, heard.failures
    bar_type, ours = BarType.from_str(series.bar_type), []
    for answer in heard.answers:
        table = answer.bars
        prices = [[Price(float(value), precision.price) for value in table.floats(name)] for name in ("open", "high", "low", "close")]
        volumes = [Quantity(float(value), precision.size) for value in table.floats("volume")]
        for row in zip(*prices, volumes, table.ts_event.tolist(), table.ts_init.tolist(), strict=True):
            bar = Bar(bar_type, *row)
            ours.append([str(bar.open), str(bar.high), str(bar.low), str(bar.close), str(bar.volume), bar.ts_event, bar.ts_init])
    assert len(ours) > 4
    assert ours == nautilus["bars"][number]
