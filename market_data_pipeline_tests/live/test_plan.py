"""The dry run of a warm-up: it says what the warm-up then does, and asks for no bars."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import InvalidBarType
from market_data_pipeline.live.history import gather
from market_data_pipeline.live.need import Need, WarmUpSettings, WarmUpSource
from market_data_pipeline.live.plan import plan_warm_up
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway
from market_data_pipeline_tests.instants import NEW_YORK, ns
from market_data_pipeline_tests.live.conftest import Simulated
from market_data_pipeline_tests.live.warming_up import DAYS, ELEVEN, MINUTES, PAIR, asked_so_far, fill, nobody

ELEVEN_NS = ns(ELEVEN.replace("T", " ").rstrip("Z"))
CATALOG_ONLY = WarmUpSettings(sources=(WarmUpSource.CATALOG,))


def test_what_is_planned_is_what_is_done(catalog: Catalog, at_eleven: Simulated, long_after: IbkrGateway) -> None:
    """Stored are Monday and Tuesday; Wednesday and 90 minutes of Thursday are missing."""
    process, gateway = at_eleven
    fill(catalog.root, long_after, MINUTES, "2024-01-08", "2024-01-09")
    asked = asked_so_far(process)
    plan = plan_warm_up(catalog, lambda: gateway, Need(MINUTES, 500), WarmUpSettings())
    assert asked_so_far(process) == asked
    assert (plan.now_ns, plan.hours, plan.wanted, plan.needed) == (ELEVEN_NS, Hours.RTH, 600, 500)
    assert plan.sessions == tuple(dt.date(2024, 1, day) for day in (9, 10, 11))
    assert plan.missing == (dt.date(2024, 1, 10), dt.date(2024, 1, 11))
    assert (plan.request_plan.requests, plan.request_plan.bars) == (2, 480)
    assert (plan.stored, plan.expected, plan.enough_stored, plan.enough, plan.reasons) == (0, 600, False, True, ())
    history = gather(catalog, lambda: gateway, Need(MINUTES, 500), WarmUpSettings())
    assert (len(history.bars), history.requests) == (plan.expected, plan.request_plan.requests)
    after = plan_warm_up(catalog, lambda: gateway, Need(MINUTES, 500), WarmUpSettings())
    assert (after.stored, after.enough_stored, after.missing, after.request_plan.requests) == (600, True, (), 0)


def test_natural_warm_up_takes_until_the_last_bar_needed_has_closed(catalog: Catalog, at_eleven: Simulated) -> None:
    """From 11:00:30 on, 260 minutes close at 15:20."""
    _, gateway = at_eleven
    plan = plan_warm_up(catalog, lambda: gateway, Need(MINUTES, 260), WarmUpSettings())
    assert (plan.natural_ns, plan.natural_s) == (ns("2024-01-11 15:20", NEW_YORK), 260 * 60)
    daily = plan_warm_up(catalog, lambda: gateway, Need(DAYS, 2), WarmUpSettings())
    assert (daily.natural_ns, daily.natural_s) == (ns("2024-01-12 16:00", NEW_YORK), None)


def test_a_whole_catalog_needs_no_gateway(catalog: Catalog, long_after: IbkrGateway, tmp_path: Path) -> None:
    fill(catalog.root, long_after, MINUTES, "2024-01-09", "2024-01-12")
    with nobody(tmp_path) as gateway:
        plan = plan_warm_up(catalog, lambda: gateway, Need(MINUTES, 260), WarmUpSettings(), now_ns=ns("2024-01-13 12:00", NEW_YORK))
    assert (plan.stored, plan.enough_stored, plan.missing, plan.reasons) == (312, True, (), ())


def test_a_gateway_that_is_down_is_told_with_what_would_be_asked(catalog: Catalog, tmp_path: Path) -> None:
    with nobody(tmp_path) as gateway:
        plan = plan_warm_up(catalog, lambda: gateway, Need(PAIR, 260), WarmUpSettings())
    assert (plan.stored, plan.expected, plan.enough, plan.hours) == (0, 0, False, Hours.ALL)
    assert len(plan.missing) == len(plan.sessions) >= 4
    assert plan.request_plan.requests >= 1
    assert "No IB Gateway listens" in plan.reasons[0]
    assert not catalog.root.exists()


def test_from_the_catalog_alone_a_hole_is_told(catalog: Catalog, long_after: IbkrGateway) -> None:
    fill(catalog.root, long_after, MINUTES, "2024-01-08", "2024-01-08")
    fill(catalog.root, long_after, MINUTES, "2024-01-10", "2024-01-10")
    plan = plan_warm_up(catalog, None, Need(MINUTES, 500), CATALOG_ONLY, now_ns=ns("2024-01-10 18:00", NEW_YORK))
    assert (plan.stored, plan.expected, plan.enough, plan.missing) == (390, 390, False, ())
    assert "A hole of 390 bars between 2024-01-09 14:30 UTC and 2024-01-09 21:00 UTC" in plan.reasons[0]


def test_a_limit_that_is_too_short_is_told_before(catalog: Catalog, at_eleven: Simulated) -> None:
    _, gateway = at_eleven
    plan = plan_warm_up(catalog, lambda: gateway, Need(DAYS, 260), WarmUpSettings(lookback_sessions=100))
    assert (len(plan.sessions), plan.expected, plan.enough) == (100, 100, False)
    assert "100 sessions back" in plan.reasons[0]


def test_bars_that_the_broker_has_not_are_refused(catalog: Catalog, at_eleven: Simulated) -> None:
    _, gateway = at_eleven
    six = Need(Series.of("AAPL.NASDAQ", "6-MINUTE-LAST"), 10)
    with pytest.raises(InvalidBarType, match="IBKR has no bars of 6 MINUTE"):
        plan_warm_up(catalog, lambda: gateway, six, WarmUpSettings())
