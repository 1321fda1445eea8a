"""The installed, unmodified ib_async against a gateway in a process of its own."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest
from ib_async import IB, ContFuture, Contract, Crypto, Forex, Future, Index, MarketOrder, ScannerSubscription, Stock
from ib_async.objects import BarData

from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.gateway_simulator.ib_async_client import AAPL, EURUSD, Session, run, session

NEW_YORK_OPEN = dt.datetime(2024, 6, 3, 13, 30, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def test_it_connects_with_everything_that_it_fetches_at_the_start(gateway: RunningGateway) -> None:
    async def go() -> None:
        ib = IB()
        try:
            await ib.connectAsync(gateway.host, gateway.port, 2, timeout=5, raiseSyncErrors=True)
            assert ib.client.serverVersion() == 178
            assert ib.managedAccounts() == ["DUSIM12345"]
            assert {value.tag for value in ib.accountValues()} >= {"NetLiquidation", "BuyingPower"}
            assert ib.positions() == ib.openOrders() == ib.fills() == []
        finally:
            ib.disconnect()

    run(go())


def test_it_connects_read_only_and_learns_that_the_farms_are_there(gateway: RunningGateway) -> None:
    async def go() -> list[int]:
        ib, codes = IB(), []
        ib.errorEvent += lambda request_id, code, text, contract: codes.append(code)
        await ib.connectAsync(gateway.host, gateway.port, 2, readonly=True)
        await ib.reqCurrentTimeAsync()
        ib.disconnect()
        return codes

    assert run(go()) == [2104, 2106, 2158]


def test_client_id_zero_may_bind_orders_of_which_there_are_none(gateway: RunningGateway) -> None:
    async def go() -> None:
        async with session(gateway, 0) as opened:
            assert opened.errors == []

    run(go())


def test_a_stock_is_listed_with_all_that_is_known_of_it(gateway: RunningGateway) -> None:
    """Contract id and ISIN of Apple are public: 265598, US0378331005."""

    async def go() -> None:
        async with session(gateway) as opened:
            (details,) = await opened.ib.reqContractDetailsAsync(AAPL)
            contract = details.contract
            assert contract is not None
            assert (contract.conId, contract.symbol, contract.exchange, contract.primaryExchange) == (265598, "AAPL", "SMART", "NASDAQ")
            assert (details.minTick, details.timeZoneId, details.stockType) == (0.01, "US/Eastern", "COMMON")
            assert [(one.tag, one.value) for one in details.secIdList] == [("ISIN", "US0378331005")]
            assert "20240603:0930-20240603:1600" in details.liquidHours

    run(go())


@pytest.mark.parametrize(
    ("contract", "sec_type"),
    [
        (Stock("SPY", "SMART", "USD"), "STK"),
        (Stock("BRK B", "SMART", "USD"), "STK"),
        (Forex("USDJPY"), "CASH"),
        (Index("SPX", "CBOE", "USD"), "IND"),
        (Crypto("BTC", "PAXOS", "USD"), "CRYPTO"),
        (Future("ES", "202406", "CME", currency="USD"), "FUT"),
        (ContFuture("NQ", "CME", currency="USD"), "CONTFUT"),
        (Contract(conId=265598), "STK"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.symbol or str(value.conId),
)
def test_each_kind_of_contract_is_qualified(gateway: RunningGateway, contract: Contract, sec_type: str) -> None:
    async def go() -> None:
        async with session(gateway) as opened:
            (qualified,) = await opened.ib.qualifyContractsAsync(contract)
            assert isinstance(qualified, Contract)
            assert (qualified.secType, qualified.conId > 0) == (sec_type, True)

    run(go())


def test_a_future_without_a_month_is_a_chain(gateway: RunningGateway) -> None:
    async def go() -> list[str]:
        async with session(gateway) as opened:
            chain = await opened.ib.reqContractDetailsAsync(Future("ES", exchange="CME", currency="USD"))
            return [details.contract.lastTradeDateOrContractMonth for details in chain if details.contract]

    months = run(go())
    assert len(months) >= 2
    assert months == sorted(months)
    assert all(month > "20240603" for month in months)


def test_an_unknown_contract_is_error_200(gateway: RunningGateway) -> None:
    async def go() -> tuple[int, list[int], str]:
        async with session(gateway) as opened:
            found = await opened.ib.reqContractDetailsAsync(Stock("NOSUCH", "SMART", "USD"))
            return len(found), opened.codes, opened.errors[0][2]

    assert run(go()) == (0, [200], "No security definition has been found for the request")


def test_bars_of_a_future_without_a_month_are_ambiguous(gateway: RunningGateway) -> None:
    async def go() -> tuple[list[BarData], list[tuple[int, str]]]:
        async with session(gateway) as opened:
            bars = await opened.bars(Future("ES", exchange="CME", currency="USD"))
            return bars, [(code, text) for _, code, text in opened.errors]

    assert run(go()) == ([], [(200, "The contract description specified for ES is ambiguous.")])


def test_a_day_of_minutes_is_390_bars_stamped_with_their_start(gateway: RunningGateway) -> None:
    async def go() -> None:
        async with session(gateway) as opened:
            bars = await opened.bars()
            assert [bar.date for bar in bars] == [NEW_YORK_OPEN + MINUTE * minute for minute in range(390)]
            assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
            assert all(bar.volume > 0 and bar.barCount > 0 and bar.low <= bar.average <= bar.high for bar in bars)

    run(go())


def test_days_are_dates(gateway: RunningGateway) -> None:
    """Memorial Day, 2024-05-27, was a Monday without a session."""

    async def go() -> list[dt.date]:
        async with session(gateway) as opened:
            return [bar.date for bar in await opened.bars(duration="6 D", size="1 day")]

    assert [f"{day:%m-%d}" for day in run(go())] == ["05-24", "05-28", "05-29", "05-30", "05-31", "06-03"]


def test_currencies_have_midpoints_and_no_trades(gateway: RunningGateway) -> None:
    async def go() -> None:
        async with session(gateway) as opened:
            bars = await opened.bars(EURUSD, end="20240531-20:00:00", duration="3600 S", what="MIDPOINT", rth=False)
            assert [bar.date for bar in bars] == [dt.datetime(2024, 5, 31, 19, tzinfo=dt.UTC) + MINUTE * minute for minute in range(60)]
            assert {(bar.volume, bar.barCount) for bar in bars} == {(-1.0, -1)}
            assert await opened.bars(EURUSD, what="TRADES") == []
            assert opened.codes == [162]

    run(go())


def test_futures_trade_almost_around_the_clock(gateway: RunningGateway) -> None:
    """CME Globex: 17:00 to 16:00 Chicago; a session of 23 hours."""

    async def go() -> int:
        async with session(gateway) as opened:
            (future,) = await opened.ib.qualifyContractsAsync(Future("ES", "202406", "CME", currency="USD"))
            assert isinstance(future, Contract)
            return len(await opened.bars(future, end="20240531-21:00:00", duration="1 D", size="1 hour", rth=False))

    assert run(go()) == 23


def test_the_same_minute_is_the_same_bar_whatever_asks_for_it(gateway: RunningGateway) -> None:
    async def go() -> None:
        async with session(gateway, 1) as one, session(gateway, 2) as other:
            day = await one.bars(end="20240603-20:00:00")
            hour = await other.bars(end="20240603-15:00:00", duration="3600 S")
            assert hour == day[30:90]

    run(go())


def test_the_first_date_of_a_stock_is_told(gateway: RunningGateway) -> None:
    """Roblox was first traded on 2021-03-10, at the opening of New York: 14:30 UTC."""

    async def go() -> dt.datetime:
        async with session(gateway) as opened:
            head: dt.datetime = await opened.ib.reqHeadTimeStampAsync(Stock("RBLX", "SMART", "USD"), "TRADES", True, 2)
            return head

    assert run(go()) == dt.datetime(2021, 3, 10, 14, 30, tzinfo=dt.UTC)


def test_symbols_are_found_by_what_they_begin_with(gateway: RunningGateway) -> None:
    async def go() -> set[str]:
        async with session(gateway) as opened:
            found = await opened.ib.reqMatchingSymbolsAsync("AAP")
            return {one.contract.symbol for one in found or [] if one.contract}

    assert "AAPL" in run(go())


def test_a_schedule_lists_sessions(gateway: RunningGateway) -> None:
    async def go() -> list[str]:
        async with session(gateway) as opened:
            schedule = await opened.ib.reqHistoricalScheduleAsync(AAPL, 3)
            return [one.refDate for one in schedule.sessions]

    assert run(go()) == ["20240530", "20240531", "20240603"]


def test_the_time_is_the_gateways(gateway: RunningGateway) -> None:
    async def go() -> dt.datetime:
        async with session(gateway) as opened:
            now: dt.datetime = await opened.ib.reqCurrentTimeAsync()
            return now

    assert dt.datetime(2024, 6, 3, 20, 30, tzinfo=dt.UTC) <= run(go()) < dt.datetime(2024, 6, 3, 20, 45, tzinfo=dt.UTC)


def test_ticks_of_each_kind_come_in_their_own_message(gateway: RunningGateway) -> None:
    async def go() -> None:
        async with session(gateway) as opened:
            ib, since, until = opened.ib, "20240603-15:00:00", "20240603-16:00:00"
            trades = await ib.reqHistoricalTicksAsync(AAPL, since, "", 100, "TRADES", useRth=True)
            quotes = await ib.reqHistoricalTicksAsync(AAPL, "", until, 100, "BID_ASK", useRth=True)
            points = await ib.reqHistoricalTicksAsync(EURUSD, since, "", 10, "MIDPOINT", useRth=False)
            assert (len(trades), len(quotes), len(points)) == (100, 100, 10)
            assert f"{trades[0].time:%H:%M}" == "15:00"
            assert f"{quotes[-1].time:%H:%M:%S}" == "15:59:59"
            assert all(tick.price > 0 and tick.size > 0 for tick in trades)
            assert all(tick.priceBid < tick.priceAsk for tick in quotes)

    run(go())


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"duration": "1 Y", "size": "1 secs"}, 321),
        ({"size": "7 mins"}, 321),
        ({"end": "yesterday"}, 10314),
        ({"what": "NONSENSE"}, 321),
    ],
)
def test_what_cannot_be_meant_is_refused_as_the_broker_does(gateway: RunningGateway, options: dict[str, str], code: int) -> None:
    """321 is a warning to ib_async: the request never ends, and times out."""

    async def go() -> list[int]:
        async with session(gateway) as opened:
            assert await opened.bars(**options, timeout=1) == []  # type: ignore[arg-type]
            return opened.codes

    assert code in run(go())


def test_orders_are_refused_and_counted(gateway: RunningGateway) -> None:
    async def go() -> list[tuple[int, str]]:
        async with session(gateway) as opened:
            trade = opened.ib.placeOrder(AAPL, MarketOrder("BUY", 100))
            await opened.until(321)
            opened.ib.cancelOrder(trade.order)
            opened.client.reqGlobalCancel()
            await opened.ib.reqCurrentTimeAsync()
            return [(code, text) for _, code, text in opened.errors]

    before = gateway.statistics()["orders_attempted"]
    refusals = run(go())
    assert {code for code, _ in refusals} == {321}
    assert all(text.endswith("The API interface is currently in Read-Only mode.") for _, text in refusals)
    assert gateway.statistics()["orders_attempted"] - before == 3


def test_what_is_not_served_is_an_error_and_not_silence(gateway: RunningGateway) -> None:
    async def go() -> list[int]:
        async with session(gateway) as opened:
            opened.ib.reqMktData(Stock("AAPL", "SMART", "USD", conId=265598))
            opened.ib.reqScannerSubscription(ScannerSubscription())
            await opened.ib.reqCurrentTimeAsync()
            return opened.codes

    assert run(go()) == [354, 505]


def test_a_client_id_is_given_once(gateway: RunningGateway) -> None:
    async def go() -> str:
        async with session(gateway, 9):
            told: list[str] = []
            ib = IB()
            ib.errorEvent += lambda request_id, code, text, contract: told.append(f"{code} {text}")
            with pytest.raises((ConnectionError, TimeoutError)):
                await ib.connectAsync(gateway.host, gateway.port, 9, timeout=1)
            return told[0]

    assert run(go()) == "326 Unable to connect as the client id is already in use. Retry with a unique client id."


def test_a_client_id_is_free_again_when_its_client_has_left(gateway: RunningGateway) -> None:
    async def go() -> None:
        for _ in range(3):
            async with session(gateway, 9) as opened:
                await opened.ib.reqCurrentTimeAsync()
            await asyncio.sleep(0.05)

    run(go())


def test_thirty_two_clients_work_at_once_and_the_next_is_told(gateway: RunningGateway) -> None:
    async def go() -> list[int]:
        opened: list[Session] = []
        contexts = [session(gateway, 100 + number) for number in range(32)]
        try:
            opened += [await context.__aenter__() for context in contexts]
            asked = [one.bars(end=f"20240603-15:{number:02}:00", duration="600 S") for number, one in enumerate(opened)]
            assert [len(bars) for bars in await asyncio.gather(*asked)] == [10] * 32
            ib, codes = IB(), []
            ib.errorEvent += lambda request_id, code, text, contract: codes.append(code)
            with pytest.raises((ConnectionError, TimeoutError)):
                await ib.connectAsync(gateway.host, gateway.port, 200, timeout=1)
            return codes
        finally:
            for context in contexts[: len(opened)]:
                await context.__aexit__(None, None, None)

    assert run(go()) == [320]


def test_a_request_can_be_cancelled(tmp_path: Path) -> None:
    async def go(gateway: RunningGateway) -> tuple[list[int], str]:
        async with session(gateway) as opened:
            assert await opened.bars(timeout=0.2) == []
            await opened.until(162)
            assert gateway.statistics()["historical"]["open_now"] == 0
            opened.client.cancelHistoricalData(4711)
            await opened.until(366)
            return opened.codes, opened.errors[0][2]

    with start_gateway(tmp_path, "--latency", "60") as gateway:
        codes, text = run(go(gateway))
    assert codes == [162, 366]
    assert text.startswith("Historical Market Data Service error message:API historical data query cancelled")
