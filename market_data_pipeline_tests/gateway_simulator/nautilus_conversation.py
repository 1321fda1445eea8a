"""What a user of Nautilus' historical client does, as a program: HOST PORT. Writes what it got as one line of JSON."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
from typing import Any

from nautilus_trader.adapters.interactive_brokers.common import IBContract
from nautilus_trader.adapters.interactive_brokers.historical.client import HistoricInteractiveBrokersClient

_STOCK = IBContract(secType="STK", symbol="AAPL", exchange="SMART", primaryExchange="NASDAQ", currency="USD")
_PAIR = IBContract(secType="CASH", symbol="EUR", exchange="IDEALPRO", currency="USD")
_FUTURE = IBContract(secType="FUT", symbol="ES", exchange="CME", lastTradeDateOrContractMonth="20240621")
_INDEX = IBContract(secType="IND", symbol="SPX", exchange="CBOE", currency="USD")
_UNKNOWN = IBContract(secType="STK", symbol="NOSUCH", exchange="SMART", currency="USD")
_NEW_YORK = "America/New_York"


def _facts(instrument: Any) -> dict[str, Any]:
    facts = {"type": type(instrument).__name__, "price_precision": instrument.price_precision, "size_precision": instrument.size_precision}
    identifiers = instrument.info["secIdList"]
    return facts | ({"isin": identifiers["ISIN"]} if identifiers else {})


async def _converse(client: HistoricInteractiveBrokersClient) -> dict[str, Any]:
    await client.connect()

    async def bars(contract: str, spec: str, start: dt.datetime | None, end: dt.datetime, timeout: int = 20, **options: Any) -> list[Any]:
        got: list[Any] = await client.request_bars([spec], end, _NEW_YORK, start, instrument_ids=[contract], timeout=timeout, **options)
        return got

    instruments = await client.request_instruments(contracts=[_STOCK, _PAIR, _FUTURE, _INDEX])
    minutes = await bars("AAPL.NASDAQ", "1-MINUTE-LAST", dt.datetime(2024, 6, 3, 9, 30), dt.datetime(2024, 6, 3, 16))  # noqa: DTZ001
    days = await bars("AAPL.NASDAQ", "1-DAY-LAST", None, dt.datetime(2024, 5, 31, 20), duration="4 D")  # noqa: DTZ001
    pair = await bars("EUR/USD.IDEALPRO", "1-MINUTE-MID", dt.datetime(2024, 5, 31, 9), dt.datetime(2024, 5, 31, 10), use_rth=False)  # noqa: DTZ001
    future = await bars("ESM4.CME", "1-HOUR-LAST", dt.datetime(2024, 5, 31, 9), dt.datetime(2024, 5, 31, 16), use_rth=False)  # noqa: DTZ001
    error = await bars("EUR/USD.IDEALPRO", "1-MINUTE-LAST", dt.datetime(2024, 5, 31, 9), dt.datetime(2024, 5, 31, 10), timeout=1)  # noqa: DTZ001
    unknown = await client.request_instruments(contracts=[_UNKNOWN])
    return {
        "instruments": {str(instrument.id): _facts(instrument) for instrument in instruments},
        "minutes": [[bar.ts_event, bar.ts_init] for bar in minutes],
        "days": [f"{dt.datetime.fromtimestamp(bar.ts_event / 1e9, dt.UTC):%Y-%m-%d}" for bar in days],
        "currency": [[bar.ts_event, float(bar.volume)] for bar in pair],
        "future": [bar.ts_event for bar in future],
        "error": [bar.ts_event for bar in error],
        "unknown": [str(instrument.id) for instrument in unknown],
    }


async def _main(host: str, port: int) -> None:
    client = HistoricInteractiveBrokersClient(host, port, 77, log_level="ERROR")
    # Its timeouts are made for a gateway far away.
    client._client._request_timeout_secs = 1
    told = await _converse(client)
    client._client.stop()
    await asyncio.sleep(0.2)
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
