from __future__ import annotations

from collections.abc import Iterator

import pytest

from market_data_pipeline.domain.errors import ContractUnknown, UsageError
from market_data_pipeline.sources.ibkr import DiscoveryCache, IbkrGateway, discover
from market_data_pipeline_tests.gateway import RunningGateway
from market_data_pipeline_tests.sources.ibkr.asking import simulated


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningGateway, IbkrGateway]]:
    with simulated(tmp_path_factory.mktemp("gateway")) as both:
        yield both


@pytest.fixture
def gateway(simulation: tuple[RunningGateway, IbkrGateway]) -> IbkrGateway:
    return simulation[1]


@pytest.mark.parametrize(
    ("text", "instrument_id"),
    [
        ("EURUSD", "EUR/USD.IDEALPRO"),
        ("eur/usd", "EUR/USD.IDEALPRO"),
        ("EUR.USD", "EUR/USD.IDEALPRO"),
        ("AAPL", "AAPL.NASDAQ"),
        ("aapl@stk", "AAPL.NASDAQ"),
        ("BRK B", "BRK-B.NYSE"),
        ("ES", "ES.NYSE"),
        ("ES@CONTFUT", "ES.CME"),
        ("ESU4@FUT", "ESU4.CME"),
        ("BTC@CRYPTO", "BTC/USD.PAXOS"),
        ("BTC/USD", "BTC/USD.PAXOS"),
        ("SPX@IND", "^SPX.CBOE"),
        ("SPX", "^SPX.CBOE"),
        ("AAPL.NASDAQ", "AAPL.NASDAQ"),
    ],
)
def test_a_text_finds_the_instrument_that_it_means(gateway: IbkrGateway, text: str, instrument_id: str) -> None:
    assert [found.instrument_id for found in discover(gateway, text)] == [instrument_id]


def test_several_expiries_are_listed_nearest_first(gateway: IbkrGateway) -> None:
    found = discover(gateway, "ES@FUT")
    assert found[0].instrument_id == "ESM4.CME"
    assert len(found) > 3
    assert [one.expiry for one in found] == sorted(one.expiry for one in found)


def test_a_future_is_found_where_no_stock_has_its_symbol(gateway: IbkrGateway) -> None:
    assert {one.sec_type for one in discover(gateway, "NQ")} == {"FUT"}


def test_what_is_nowhere_says_what_was_tried(gateway: IbkrGateway) -> None:
    with pytest.raises(ContractUnknown, match=r"IBKR lists nothing under 'XXXX' \(tried: STK, FUT, IND\)"):
        discover(gateway, "XXXX")


def test_a_share_class_after_a_dot_is_told_how_it_is_written(gateway: IbkrGateway) -> None:
    with pytest.raises(ContractUnknown, match=r"IBKR lists nothing under 'brk\.b' .* is written with a space: 'BRK B'\."):
        discover(gateway, "brk.b")


@pytest.mark.parametrize(("text", "advice"), [("AAPL.NASDQ", r"Did you mean AAPL\.NASDAQ\?"), ("AAPL.QWXZZ", r"Known venues: .*, NASDAQ, ")])
def test_a_mistyped_venue_is_told_as_one(gateway: IbkrGateway, text: str, advice: str) -> None:
    with pytest.raises(ContractUnknown, match=rf"{text.partition('.')[2]} is no venue known here\. {advice}"):
        discover(gateway, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [("ES@WARRANT", "WARRANT after @ is no type"), ("ES@", "nothing after @"), ("@FUT", "names nothing"), ("EUR@CASH", "as a pair")],
)
def test_what_cannot_be_meant_is_refused_before_anybody_is_asked(gateway: IbkrGateway, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        discover(gateway, text)


def test_what_was_found_is_not_asked_again_until_it_is_forgotten(simulation: tuple[RunningGateway, IbkrGateway]) -> None:
    process, gateway = simulation
    cache = DiscoveryCache(gateway.settings)

    def asked() -> int:
        return int(process.statistics()["requests"]["by_kind"]["contracts"])

    first = discover(gateway, "NVDA", cache)
    before = asked()
    assert discover(gateway, "nvda", cache) == first
    assert asked() == before
    assert first[0].con_id > 0
    known = cache.get("NVDA")
    assert known is not None
    assert 0 <= known[1] < 60
    assert cache.clear()
    discover(gateway, "NVDA", cache)
    assert asked() == before + 1
