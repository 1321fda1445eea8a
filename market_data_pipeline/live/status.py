"""How far a node's warm-up is, as a JSON file that is always whole: for a person, a monitor, or a test."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from market_data_pipeline.live.readiness import WarmUpState


@dataclass(frozen=True)
class SeriesStatus:
    """One bar type of a node.

    Attributes:
        bar_type: Nautilus' string.
        state: `waiting`, `gathering`, `open` or `mending`.
        needed: Bars that indicators need.
        wanted: Bars to bring: needed, times the buffer.
        given: Bars of history that were given.
        from_catalog: Of those, how many were stored before.
        from_source: Of those, how many a gateway gave.
        requests: Requests made for them.
        newest: Open of the newest bar that has passed, UTC; empty if none has.
        held_at_most: Live bars that were held back at once while history came.
        seen_twice: Live bars that were dropped because they had been seen.
        forming: Live bars that were dropped because they had not closed.
        mended: Bars that did not come live, and were brought and given as history.
        missing: Bars that did not come live, and could not be had: a hole, or minutes in which nothing was traded.
        reasons: Why history is less than wanted.
        natural_until: Where it is less than needed: when enough live bars will have closed, UTC; else empty.
    """

    bar_type: str
    state: str
    needed: int
    wanted: int
    given: int = 0
    from_catalog: int = 0
    from_source: int = 0
    requests: int = 0
    newest: str = ""
    held_at_most: int = 0
    seen_twice: int = 0
    forming: int = 0
    mended: int = 0
    missing: int = 0
    reasons: tuple[str, ...] = ()
    natural_until: str = ""


@dataclass(frozen=True)
class StrategyStatus:
    """One strategy that waits until it is warm.

    Attributes:
        strategy_id: Nautilus' id.
        state: How far it is.
        since: When it came to that, UTC.
        seen: Bars seen of each bar type, history included.
        needed: Bars needed of each.
        orders_refused: Orders that were refused before READY.
        seconds_to_ready: Seconds from its start until it was ready; None before.
    """

    strategy_id: str
    state: WarmUpState
    since: str
    seen: dict[str, int]
    needed: dict[str, int]
    orders_refused: int = 0
    seconds_to_ready: float | None = None


@dataclass(frozen=True)
class NodeStatus:
    """All of a node.

    Attributes:
        trader_id: Nautilus' id of the trader.
        process: Process id.
        at: When this was written, UTC.
        state: The least ready of its strategies; INITIALIZING where none has started.
        doing: What is being done right now, for a person.
        strategies: Its strategies that wait until they are warm.
        series: The bar types that are warmed.
    """

    trader_id: str
    process: int
    at: str
    state: WarmUpState
    doing: str
    strategies: tuple[StrategyStatus, ...]
    series: tuple[SeriesStatus, ...]

    def write(self, file: Path) -> None:
        """Replace the file: a reader sees the old status or this one, never half of it.

        Raises:
            OSError: If it cannot be written.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as stream:
                json.dump(asdict(self), stream, indent=2)
            os.replace(name, file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def least_ready(states: list[WarmUpState]) -> WarmUpState:
    """Return the state of the whole: that of whoever is furthest from READY."""
    order = list(WarmUpState)
    return min(states, key=order.index, default=WarmUpState.INITIALIZING)
