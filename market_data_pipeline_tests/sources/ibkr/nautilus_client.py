"""Asks a gateway with Nautilus' own historical client, in a process of its own, and writes what it got as JSON.

python -m market_data_pipeline_tests.sources.ibkr.nautilus_client '{"host": …, "port": …, "ids": […], "bars": [[id, spec, end, duration, rth], …]}'
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
from typing import Any

from nautilus_trader.adapters.interactive_brokers.historical.client import HistoricInteractiveBrokersClient
from nautilus_trader.model.instruments import Instrument


async def answers(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the instruments and bars that were asked for."""
    client = HistoricInteractiveBrokersClient(host=wanted["host"], port=wanted["port"], client_id=7, log_level="ERROR")
    await client.connect()
    instruments = await client.request_instruments(instrument_ids=wanted["ids"])
    bars = []
    for instrument_id, spec, end, duration, rth in wanted["bars"]:
        found = await client.request_bars(
            bar_specifications=[spec],
            end_date_time=dt.datetime.fromisoformat(end),
            tz_name="UTC",
            duration=duration,
            instrument_ids=[instrument_id],
            use_rth=rth,
            timeout=20,
        )
        bars.append([[str(b.open), str(b.high), str(b.low), str(b.close), str(b.volume), b.ts_event, b.ts_init] for b in found])
    return {"instruments": [_as_dict(instrument) for instrument in instruments], "bars": bars}


def _as_dict(instrument: Instrument) -> dict[str, Any]:
    values: dict[str, Any] = type(instrument).to_dict(instrument)
    return values


if __name__ == "__main__":
    result = asyncio.get_event_loop_policy().new_event_loop().run_until_complete(answers(json.loads(sys.argv[1])))
    with open(sys.argv[2], "w", encoding="utf-8") as out:  # noqa: PTH123
        json.dump(result, out)
