"""Waiting for leave: what is told of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from market_data_pipeline.domain.pacing_windows import PacedRequest
from market_data_pipeline.domain.source import SourceNews
from market_data_pipeline.sources.ibkr import IbkrSettings
from market_data_pipeline.sources.ibkr.news import News
from market_data_pipeline.sources.ibkr.permits import Permits

ONE_IN_TEN_SECONDS = "small_bars: {requests: 1, window_s: 9.4}\ndelay_s: 0.4\ndelay_share: 0\n"


def test_a_wait_is_told_in_whole_seconds(tmp_path: Path) -> None:
    """9.4 s of the window and 0.4 s for what is late on its way, less the moment since: 9.8 s, told as ten."""
    pacing = tmp_path / "pacing.yaml"
    pacing.write_text(ONE_IN_TEN_SECONDS)
    permits = Permits(IbkrSettings.from_environment({"IB_PACING": str(pacing), "IB_PACING_DB": str(tmp_path / "p.sqlite")}))
    heard: list[SourceNews] = []

    async def ask_twice() -> None:
        for name in "ab":
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    grant = await permits.grant(PacedRequest(name, "TRADES", name, 60, "history"), News(heard.append), "AAPL")
                    permits.report(lambda table, given: table.sent(given), grant)

    asyncio.run(ask_twice())
    permits.close()
    (told,) = heard
    assert told.message.startswith("AAPL: waiting 10 seconds for IBKR's pacing rules: 1 of 1 requests")
