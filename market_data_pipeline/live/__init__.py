"""Live warm-up: history into a trading node before it trades, so that a strategy is ready before its first live bar.

    class MyStrategy(WarmUpMixin, Strategy):
        def bars_needed(self):
            return {self.config.bar_type: 260}

    node.build()
    with LiveWarmUp("data/catalog", status_file="warm_up.json") as warm_up:
        warm_up.attach(node)
        node.run()

docs/live.md says what happens then.
"""

from __future__ import annotations

from market_data_pipeline.live.awaiting import await_gateway
from market_data_pipeline.live.need import Need, WarmUpSettings, WarmUpSource
from market_data_pipeline.live.node import LiveWarmUp
from market_data_pipeline.live.readiness import WarmUpState
from market_data_pipeline.live.strategy import WarmUpMixin

__all__ = ["LiveWarmUp", "Need", "WarmUpMixin", "WarmUpSettings", "WarmUpSource", "WarmUpState", "await_gateway"]
