"""How many bars are needed, and what a warm-up may do."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import InvalidBarType, UsageError
from market_data_pipeline.live.need import Need, WarmUpSettings, WarmUpSource, merged

AAPL = Series.of("AAPL.NASDAQ", "15-MINUTE-LAST")
MSFT = Series.of("MSFT.NASDAQ", "15-MINUTE-LAST")


@pytest.mark.parametrize(("bars", "buffer", "wanted"), [(260, 1.2, 312), (260, 1.0, 260), (40, 1.25, 50), (1, 1.2, 2), (5, 1.2, 6), (10, 1.1, 11)])
def test_what_is_wanted_is_rounded_up_and_never_by_the_noise_of_floats(bars: int, buffer: float, wanted: int) -> None:
    assert Need(AAPL, bars).wanted(buffer) == wanted


def test_strategies_that_share_a_series_have_the_largest_need_once() -> None:
    assert merged([Need(AAPL, 40), Need(MSFT, 50), Need(AAPL, 260), Need(AAPL, 9)]) == (Need(AAPL, 260), Need(MSFT, 50))


def test_no_bars_warm_nothing() -> None:
    with pytest.raises(UsageError, match="a warm-up of 0 bars warms nothing"):
        Need(AAPL, 0)


@pytest.mark.parametrize(
    "given", [{"buffer": 0.9}, {"lookback_sessions": 0}, {"sources": ()}, {"sources": ("yahoo",)}, {"time_limit_s": 0}, {"stores": True}]
)
def test_settings_that_cannot_be_meant_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WarmUpSettings.model_validate(given)


def test_all_sources_are_allowed_unless_some_are_named() -> None:
    assert all(WarmUpSettings().may_ask(source) for source in WarmUpSource)
    assert not WarmUpSettings(sources=(WarmUpSource.CATALOG,)).may_ask(WarmUpSource.IBKR)


def test_bars_that_nautilus_makes_itself_have_no_history() -> None:
    for bar_type in ("AAPL.NASDAQ-15-MINUTE-LAST-INTERNAL", "AAPL.NASDAQ-15-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL"):
        with pytest.raises(InvalidBarType, match="Nautilus makes INTERNAL bars itself"):
            Series.parse(bar_type)
