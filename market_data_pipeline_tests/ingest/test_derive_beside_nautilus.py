"""Derived bars beside those that Nautilus' own engine makes of the same stored bars, bar by bar.

Nautilus lays bars along the clock of UTC, Interactive Brokers (and so we) begins one where a session begins. Where a session begins on the grid both
are the same bars; where it does not (09:30 in bars of an hour), they hold the same values, and ours is stamped from the open of the session.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import BacktestEngineConfig, DataEngineConfig, LoggingConfig, StrategyConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.reading import to_nautilus
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import NANOSECONDS, Series
from market_data_pipeline.domain.coverage import Convention, Provenance
from market_data_pipeline.ingest.derive import DeriveOrder
from market_data_pipeline.ingest.modes import Mode, Reach
from market_data_pipeline_tests.catalog.bar_making import AAPL, CENTS, answer, regular
from market_data_pipeline_tests.ingest.deriving import derived

# Two sessions before and two after the clocks of New York changed on 2024-03-10, an early close (2024-11-29, 13:00), and the session after it.
DAYS = [dt.date(2024, 3, day) for day in (7, 8, 11, 12)] + [dt.date(2024, 11, 29), dt.date(2024, 12, 2)]


class _Listener(Strategy):  # type: ignore[misc]  # Nautilus has no types
    def __init__(self, bar_type: BarType) -> None:
        super().__init__(StrategyConfig())
        self._bar_type, self.heard = bar_type, list[Bar]()

    def on_start(self) -> None:
        self.subscribe_bars(self._bar_type)

    def on_bar(self, bar: Bar) -> None:
        self.heard.append(bar)


def nautilus_bars(bars: list[Bar], spec: str) -> list[Bar]:
    """Return the bars that the engine makes of others."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            # The delay is Nautilus' own advice for bars made of bars: else the timer is before the last bar of its interval.
            data_engine=DataEngineConfig(time_bars_build_with_no_updates=False, time_bars_build_delay=15),
        )
    )
    engine.add_venue(Venue("NASDAQ"), OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000, USD)])
    identifier = InstrumentId(Symbol("AAPL"), Venue("NASDAQ"))
    engine.add_instrument(Equity(identifier, Symbol("AAPL"), USD, 2, Price.from_str("0.01"), Quantity.from_int(1), 0, 0))
    listener = _Listener(BarType.from_str(f"AAPL.NASDAQ-{spec}-INTERNAL@1-MINUTE-EXTERNAL"))
    engine.add_strategy(listener)
    engine.add_data(bars)
    engine.run(start=bars[0].ts_event - 1, end=bars[-1].ts_init + 86_400 * NANOSECONDS)
    heard = listener.heard
    engine.dispose()
    return heard


@pytest.fixture
def minutes(catalog: Catalog) -> Catalog:
    """Regular hours in which every fifth minute or so has no trade."""
    with catalog.writer(AAPL, CENTS, Provenance("test", "made by hand", Convention("rth"))) as writer:
        for date in DAYS:
            bars = regular(AAPL, date)
            kept = np.random.default_rng(date.toordinal()).random(len(bars)) > 0.2
            writer.store(answer(AAPL, date, bars.take(kept)))
    return catalog


# Nautilus 1.23x under pandas 3.
@pytest.mark.filterwarnings("ignore:Timestamp.utcnow is deprecated")
@pytest.mark.filterwarnings("ignore:'d' is deprecated")
@pytest.mark.parametrize(("spec", "is_on_grid"), [("5-MINUTE-LAST", True), ("30-MINUTE-LAST", True), ("1-HOUR-LAST", False)])
def test_derived_bars_are_those_of_nautilus(minutes: Catalog, spec: str, is_on_grid: bool) -> None:
    series = Series.of("AAPL.NASDAQ", spec)
    for date in DAYS:
        derived(minutes, DeriveOrder(series, AAPL, Reach(Mode.FULL, date, date)))
    ours = BarTable.concatenate([*minutes.read(series)])
    theirs = nautilus_bars(to_nautilus(BarTable.concatenate([*minutes.read(AAPL)]), AAPL), spec)
    assert len(ours) == len(theirs) > 0
    for name in ("open", "high", "low", "close"):
        assert ours.column(name).tolist() == [round(float(getattr(bar, name)) * 100) for bar in theirs], name
    assert ours.volume.tolist() == [int(bar.volume) for bar in theirs]
    # Nautilus' timer goes off its delay after the end; and the open of its bars is when the one before was built.
    closes = np.array([bar.ts_init for bar in theirs]) // (60 * NANOSECONDS) * (60 * NANOSECONDS)
    later = np.flatnonzero(ours.ts_init != closes)
    if is_on_grid:
        assert not len(later)
    else:
        # The first hour of each session: 09:00 to 10:00 for Nautilus, and for us 09:30, stamped with its full length.
        assert later.tolist() == np.searchsorted(ours.ts_event, [row.first_open_ns or 0 for row in minutes.sessions(series)]).tolist()
        assert set((ours.ts_init - closes)[later].tolist()) == {1_800 * NANOSECONDS}
