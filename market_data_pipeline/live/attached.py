"""A node with a warm-up between its data clients and its data engine. Everything here runs in the node's loop."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nautilus_trader.common.actor import Actor
from nautilus_trader.common.component import Logger
from nautilus_trader.data.messages import SubscribeBars
from nautilus_trader.model.data import Bar, BarType

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import UsageError
from market_data_pipeline.live.clients import BrokerClients
from market_data_pipeline.live.feed import FeedState, Hole, SeriesFeed, open_together
from market_data_pipeline.live.need import Need, WarmUpSettings, WarmUpSource
from market_data_pipeline.live.readiness import WarmUpState
from market_data_pipeline.live.status import NodeStatus, SeriesStatus, StrategyStatus, least_ready
from market_data_pipeline.live.strategy import WarmUpMixin
from market_data_pipeline.live.trading_hours import TradingHours
from market_data_pipeline.live.worker import Brought, HistoryWorker, Job
from market_data_pipeline.sources.ibkr import IbkrSettings

if TYPE_CHECKING:
    from nautilus_trader.live.node import TradingNode

_PROCESS, _EXECUTE = "DataEngine.process", "DataEngine.execute"
# Thinner than this, a bar that does not come was probably not traded.
_DENSE_SHARE = 0.95
# A running strategy waits no longer than this for a bar that did not come live.
_MEND_S = 30.0
# While missing bars are brought others close; the clock of a simulator may run fast.
_MENDED_BARS_MORE = 50
_GRACE_S = 2.0
# Whoever brings history keeps the time limit; this is for one that hangs. On a busy machine what was brought needs a moment to be read.
_HANGS_S = 10.0
_STATUS_S = 1.0
_EARLY = 100  # before Nautilus' own subscribers


def needs_of(node: TradingNode) -> list[Need]:
    """Return what the strategies and actors of a node with `WarmUpMixin` say they need."""
    waiting = [actor for actor in [*node.trader.strategies(), *node.trader.actors()] if isinstance(actor, WarmUpMixin)]
    return [Need(Series.parse(str(bar_type)), count) for actor in waiting for bar_type, count in actor.bars_needed().items()]


class _Warmed:
    """One bar type: its feed, what was brought for it, and why it is less than wanted."""

    def __init__(self, feed: SeriesFeed, hours: TradingHours) -> None:
        self.feed = feed
        self.hours = hours
        self.brought: Brought | None = None
        self.reasons: tuple[str, ...] = ()
        self.natural_until = ""
        self.mended = self.missing = 0
        self.timer: Any = None
        self.group = 0

    @property
    def until_ns(self) -> int | None:
        """Up to where history is whole, UTC nanoseconds; None where there is none."""
        return None if self.brought is None or self.brought.history is None else self.brought.history.until_ns


class AttachedNode:
    """Stands in the node's message bus from its making to `close`."""

    def __init__(
        self,
        node: TradingNode,
        needs: tuple[Need, ...],
        catalog: Path,
        settings: WarmUpSettings,
        ibkr: IbkrSettings | None,
        status_file: Path | None,
    ) -> None:
        if not needs:
            raise UsageError("No strategy of this node says what it needs. Put WarmUpMixin before Strategy, with bars_needed(), or name the needs.")
        self._clients = BrokerClients.of(node)
        self._clients.refuse_forming_bars()
        self._node = node
        self._settings = settings
        self._status_file = status_file
        self._kernel = node.kernel
        self._loop = node.kernel.loop
        self._log = Logger("LiveWarmUp")
        self._doing = "waiting for strategies to start"
        self._written = 0.0
        self._began: dict[str, float] = {}
        self._since: dict[str, tuple[WarmUpState, str, float | None]] = {}
        self._worker = HistoryWorker(catalog, self._clients.settings(ibkr))
        self._warmed = {BarType.from_str(need.series.bar_type): self._warm(need) for need in needs}
        self._strategies = [one for one in [*node.trader.strategies(), *node.trader.actors()] if isinstance(one, WarmUpMixin)]
        for strategy in self._strategies:
            for bar_type in strategy.bars_needed():
                strategy.expect_history(bar_type, self._changed)
        self._group()
        self._stand_between()
        self._loop.call_later(self._clients.patience_s + _GRACE_S, self._nobody_started)
        self._write()

    def _group(self) -> None:
        """Number the groups of bar types whose history is given together: those that one strategy needs."""
        for number, warmed in enumerate(self._warmed.values()):
            warmed.group = number
        for strategy in self._strategies:
            needed = [self._warmed[bar_type] for bar_type in strategy.bars_needed()]
            joined = {one.group for one in needed}
            for one in self._warmed.values():
                one.group = min(joined) if one.group in joined else one.group

    def close(self) -> None:
        """Stop what is under way. The node's bus is left as it is: bars that still come must not pass beside the gates."""
        self._worker.close()
        self._doing = "stopped"
        self._write()

    # The message bus

    def _stand_between(self) -> None:
        bus, engine = self._kernel.msgbus, self._kernel.data_engine
        for endpoint, theirs, ours in ((_PROCESS, engine.process, self._process), (_EXECUTE, engine.execute, self._execute)):
            bus.deregister(endpoint, theirs)
            bus.register(endpoint, ours)
        for bar_type, warmed in self._warmed.items():
            bus.subscribe(_topic(bar_type), warmed.feed.published, _EARLY)

    def _process(self, data: Any) -> None:
        """Take what a data client sends."""
        warmed = self._warmed.get(data.bar_type) if isinstance(data, Bar) else None
        if warmed is None:
            self._kernel.data_engine.process(data)
            return
        hole = warmed.feed.live(data, self._now_ns())
        if hole is not None:
            self._mend(warmed, hole)
        elif time.monotonic() - self._written >= _STATUS_S:
            self._write()

    def _execute(self, command: Any) -> None:
        """Take a command to the data engine."""
        self._kernel.data_engine.execute(command)
        if isinstance(command, SubscribeBars) and (warmed := self._warmed.get(command.bar_type)) is not None:
            # Whoever subscribes may register its indicators afterwards: it has its history when it has started.
            self._loop.call_soon(self._subscribed, warmed)

    def _subscribers(self, warmed: _Warmed) -> list[Actor]:
        bar_type = BarType.from_str(warmed.feed.need.series.bar_type)
        handlers = [subscription.handler for subscription in self._kernel.msgbus.subscriptions(_topic(bar_type))]
        owners = [getattr(handler, "__self__", None) for handler in handlers]
        return [owner for owner in owners if isinstance(owner, Actor)]

    # From the first subscriber to the first live bar

    def _subscribed(self, warmed: _Warmed) -> None:
        if warmed.feed.state is not FeedState.WAITING:
            for actor in self._subscribers(warmed):
                warmed.feed.late(actor)
            self._tell_ended(warmed)
            return
        for actor in self._subscribers(warmed):
            self._began.setdefault(str(actor.id), time.monotonic())
            if isinstance(actor, WarmUpMixin):
                actor.history_begins()
        warmed.feed.gather()
        warmed.timer = self._loop.call_later(self._settings.time_limit_s + _HANGS_S, self._give_up, warmed)
        both = self._settings.may_ask(WarmUpSource.CATALOG) and self._settings.may_ask(WarmUpSource.IBKR)
        # A series that is whole on disk does not wait for another that has to be asked for.
        first = self._settings.model_copy(update={"sources": (WarmUpSource.CATALOG,)}) if both else self._settings
        self._ask(warmed, warmed.feed.need, first, partial(self._looked, warmed) if both else partial(self._arrived, warmed))
        self._say(f"bringing {warmed.feed.wanted:,} bars of {warmed.feed.need.series}")

    def _nobody_started(self) -> None:
        """Say why nothing happens: Nautilus starts no strategy before all of its clients are connected, and then gives up in silence."""
        if all(warmed.feed.state is FeedState.WAITING for warmed in self._warmed.values()):
            place = self._clients.place
            where = f"Is the gateway at {place} up? Look with: mdp ibkr status. " if place else ""
            self._say(f"no strategy has asked for its bars {self._clients.patience_s:g} s after the start. {where}Then start again.", self._log.error)

    def _looked(self, warmed: _Warmed, brought: Brought) -> None:
        if len(brought.bars) >= warmed.feed.wanted:
            self._arrived(warmed, brought)
        else:
            self._ask(warmed, warmed.feed.need, self._settings, partial(self._arrived, warmed))

    def _give_up(self, warmed: _Warmed) -> None:
        reason = f"no history within {self._settings.time_limit_s:g} s; the last that was told: {self._doing}"
        self._arrived(warmed, Brought(warmed.feed.need, None, [], (reason,)))

    def _arrived(self, warmed: _Warmed, brought: Brought) -> None:
        if warmed.feed.state is not FeedState.GATHERING or warmed.brought is not None:
            return
        warmed.timer.cancel()
        warmed.brought, warmed.reasons = brought, brought.reasons
        together = [one for one in self._warmed.values() if one.group == warmed.group and one.feed.state is FeedState.GATHERING]
        if all(one.brought is not None for one in together):
            self._open(together)

    def _open(self, together: list[_Warmed]) -> None:
        """Give the history of bar types that one strategy subscribes to, directly or through another that shares one of them."""
        histories = []
        for warmed in together:
            bars, until_ns = self._fitting(warmed), warmed.until_ns
            warmed.feed.dense = bool(bars) and len(bars) >= _DENSE_SHARE * warmed.hours.bars_between(bars[0].ts_event, bars[-1].ts_init)
            histories.append((warmed.feed, bars, until_ns, self._subscribers(warmed)))
        holes = open_together(histories, self._now_ns())
        for warmed in together:
            self._report(warmed)
        for warmed in together:
            self._tell_ended(warmed)
        for feed, hole in holes:
            self._mend(next(one for one in together if one.feed is feed), hole)

    def _fitting(self, warmed: _Warmed) -> list[Bar]:
        """Return the bars, unless they have other decimals than the node's instrument: Nautilus would mix them in silence."""
        instrument = self._kernel.cache.instrument(BarType.from_str(warmed.feed.need.series.bar_type).instrument_id)
        bars = [] if warmed.brought is None else warmed.brought.bars
        if not bars or instrument is None:
            return bars
        bar = bars[0]
        theirs, ours = (instrument.price_precision, instrument.size_precision), (bar.open.precision, bar.volume.precision)
        if theirs == ours:
            return bars
        reason = (
            f"the stored bars have {ours[0]} price and {ours[1]} size decimals, the node's {instrument.id} has {theirs[0]} and {theirs[1]}. "
            f"Store the broker's definition: mdp instruments refresh {instrument.id}"
        )
        warmed.reasons = (*warmed.reasons, reason)
        return []

    def _tell_ended(self, warmed: _Warmed) -> None:
        if warmed.feed.state not in (FeedState.OPEN, FeedState.MENDING):
            return
        series = warmed.feed.need.series
        subscribers = self._subscribers(warmed)
        for strategy in self._strategies:
            if series.bar_type in strategy.readiness.waiting and any(strategy is one for one in subscribers):
                strategy.history_ended(BarType.from_str(series.bar_type))
        self._write()

    def _report(self, warmed: _Warmed) -> None:
        need, bars = warmed.feed.need, warmed.feed.given
        history = None if warmed.brought is None else warmed.brought.history
        where = ""
        if history is not None and bars:
            where = f" ({history.from_catalog:,} from the catalog, {history.from_source:,} from IBKR, {history.seconds:.1f} s)"
        if bars >= need.bars:
            self._say(f"{need.series}: {bars:,} bars of history given{where}; {need.bars:,} are needed")
            return
        done_ns = warmed.hours.close_of_nth(warmed.until_ns or self._now_ns(), need.bars - bars)
        warmed.natural_until = "" if done_ns is None else _utc(done_ns)
        until = f"until about {warmed.natural_until}" if done_ns is not None else "for years"
        reasons = "; ".join(reason.rstrip(".") for reason in warmed.reasons) or "there is no more"
        self._say(
            f"{need.series}: {bars:,} bars of history given{where}, {need.bars:,} are needed: {reasons}. "
            f"It goes on with live bars, and is warm {until}.",
            self._log.warning,
        )

    # Holes between live bars

    def _mend(self, warmed: _Warmed, hole: Hole) -> None:
        series = warmed.feed.need.series
        text = f"{series}: {hole.bars:,} bars between {_utc(hole.after_ns)} and {_utc(hole.until_ns)} did not come live; asking for them"
        self._say(text, self._log.warning)
        limit = min(_MEND_S, self._settings.time_limit_s)
        settings = self._settings.model_copy(update={"buffer": 1.0, "time_limit_s": limit})
        warmed.timer = self._loop.call_later(limit + _HANGS_S, self._mended, warmed, hole, None)
        self._ask(warmed, Need(series, hole.bars + _MENDED_BARS_MORE), settings, partial(self._mended, warmed, hole))

    def _mended(self, warmed: _Warmed, hole: Hole, brought: Brought | None) -> None:
        feed = warmed.feed
        if feed.state is not FeedState.MENDING or (feed.hole != hole):
            return
        warmed.timer.cancel()
        before = feed.given
        again = feed.mended([] if brought is None else brought.bars, self._now_ns())
        came, series = feed.given - before, feed.need.series
        warmed.mended, warmed.missing = warmed.mended + came, warmed.missing + hole.bars - came
        if came:
            self._say(f"{series}: {came:,} of the {hole.bars:,} bars were brought and given as history")
        else:
            reasons = "; ".join(brought.reasons) if brought is not None else ""
            text = f"{series}: nothing between {_utc(hole.after_ns)} and {_utc(hole.until_ns)} could be had{f': {reasons}' if reasons else ''}"
            self._say(text, self._log.warning)
        if again is not None:
            self._mend(warmed, again)

    # The worker

    def _ask(self, warmed: _Warmed, need: Need, settings: WarmUpSettings, done: Callable[[Brought], None]) -> None:
        def in_loop(call: Callable[..., None], *args: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed: the node has ended
                self._loop.call_soon_threadsafe(call, *args)

        self._worker.ask(Job(need, warmed.hours.asked, settings, partial(in_loop, done), partial(in_loop, self._say)))

    def _warm(self, need: Need) -> _Warmed:
        hours = TradingHours.of(need.series, self._worker.convention(need.series), self._clients.hours(need.series))
        engine, cache = self._kernel.data_engine, self._kernel.cache
        wanted = need.wanted(self._settings.buffer)
        return _Warmed(SeriesFeed(need, wanted, hours.bars_between, hours.earliest_close, engine.process, cache.add_bars), hours)

    # What is said

    def _now_ns(self) -> int:
        return int(self._kernel.clock.timestamp_ns())

    def _say(self, text: str, log: Callable[[str], None] | None = None) -> None:
        self._doing = text
        (log or self._log.info)(text)
        self._write()

    def _changed(self, strategy: WarmUpMixin) -> None:
        self._kernel.msgbus.publish(f"warm_up.{strategy.id}", strategy.readiness.state)  # type: ignore[attr-defined]
        self._write()

    def status(self) -> NodeStatus:
        """Return how far it is."""
        strategies = tuple(self._status_of(strategy) for strategy in self._strategies)
        return NodeStatus(
            trader_id=str(self._kernel.trader_id),
            process=os.getpid(),
            at=_utc(time.time_ns()),
            state=least_ready([one.state for one in strategies]),
            doing=self._doing,
            strategies=strategies,
            series=tuple(_series_status(warmed) for warmed in self._warmed.values()),
        )

    def _status_of(self, strategy: Any) -> StrategyStatus:
        readiness, name = strategy.readiness, str(strategy.id)
        state, since, ready_s = self._since.get(name, (None, "", None))
        if state is not readiness.state:
            began = self._began.get(name)
            ready_s = time.monotonic() - began if readiness.state is WarmUpState.READY and began is not None else None
            since = _utc(time.time_ns())
            self._since[name] = (readiness.state, since, ready_s)
        return StrategyStatus(name, readiness.state, since, dict(readiness.seen), dict(readiness.needed), readiness.refused, ready_s)

    def _write(self) -> None:
        self._written = time.monotonic()
        if self._status_file is None:
            return
        try:
            self.status().write(self._status_file)
        except OSError as error:
            self._log.error(f"The status file {self._status_file} cannot be written: {error.strerror}. Trading goes on without it.")
            self._status_file = None


def _series_status(warmed: _Warmed) -> SeriesStatus:
    feed, history = warmed.feed, None if warmed.brought is None else warmed.brought.history
    return SeriesStatus(
        bar_type=feed.need.series.bar_type,
        state=feed.state.value,
        needed=feed.need.bars,
        wanted=feed.wanted,
        given=feed.given,
        from_catalog=0 if history is None else history.from_catalog,
        from_source=0 if history is None else history.from_source,
        requests=0 if history is None else history.requests,
        newest="" if feed.gate.newest is None else _utc(feed.gate.newest),
        held_at_most=feed.held_at_most,
        seen_twice=feed.gate.seen,
        forming=feed.gate.forming,
        mended=warmed.mended,
        missing=warmed.missing,
        reasons=warmed.reasons,
        natural_until=warmed.natural_until,
    )


def _topic(bar_type: BarType) -> str:
    return f"data.bars.{bar_type}"


def _utc(moment_ns: int) -> str:
    moment = dt.datetime.fromtimestamp(moment_ns // 1_000_000_000, dt.UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")
