"""Which gaps to fill now: a decision from facts alone, so that every case can be tried without a gateway, a clock or Dagster."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from market_data_pipeline.domain.bar_types import Series

BROKER = "ibkr"


@dataclass(frozen=True)
class Step:
    """Sessions that are asked for together, and with how many requests: a session of small bars takes several, and one may bring many sessions."""

    sessions: tuple[dt.date, ...]
    requests: int


@dataclass(frozen=True)
class Gap:
    """Sessions in a row that a series lacks.

    Attributes:
        job: The job that stores such bars.
        asset: Their asset, as `us_equities/bars_1_minute_last`.
        series: The series.
        steps: How its source is asked for them, oldest first; never empty.
        rule: Which rule of pacing its requests are counted by; empty for a source that is no broker.
    """

    job: str
    asset: str
    series: Series
    steps: tuple[Step, ...]
    rule: str = ""

    @property
    def sessions(self) -> tuple[dt.date, ...]:
        """Its sessions, oldest first."""
        return tuple(session for step in self.steps for session in step.sessions)

    def key(self, session: dt.date) -> str:
        """How one of its sessions is called in cursors."""
        return f"{self.asset}|{self.series.instrument_id}|{session}"


@dataclass(frozen=True)
class Room:
    """What a rule of pacing lets go at once.

    Attributes:
        left: Requests.
        limit: Requests that it lets go at once where none went before.
        next_at: When to look for more.
    """

    left: int
    limit: int
    next_at: dt.datetime


@dataclass(frozen=True)
class Running:
    """What a run that waits or works is about.

    Attributes:
        assets: Its assets; none is any.
        instruments: Its instruments; none is any.
        first: Its first session; None is any.
        last: Its last session, inclusive; None is any.
        requests: Requests that it was started for, as far as that is known.
        rule: The rule that they are counted by.
    """

    assets: frozenset[str] = frozenset()
    instruments: frozenset[str] = frozenset()
    first: dt.date | None = None
    last: dt.date | None = None
    requests: int = 0
    rule: str = ""

    def is_about(self, asset: str, instrument: str, session: dt.date) -> bool:
        """Return whether the run may be filling a session."""
        return (
            (not self.assets or asset in self.assets)
            and (not self.instruments or instrument in self.instruments)
            and (self.first is None or self.first <= session)
            and (self.last is None or session <= self.last)
        )


@dataclass(frozen=True)
class Failures:
    """How often a session could not be had, and when that was last."""

    times: int
    last: dt.datetime


@dataclass(frozen=True)
class Patience:
    """How often, and how much at once, is tried.

    Attributes:
        tries: Failures of a session after which it is left alone.
        pause: For how long.
        runs: Runs started in one tick, at most.
    """

    tries: int = 3
    pause: dt.timedelta = dt.timedelta(days=1)
    runs: int = 6


@dataclass(frozen=True)
class Fill:
    """A run to start: the same sessions of one or more instruments, which stand side by side in the order of their partitions.

    Attributes:
        job: The job.
        assets: Which of its assets.
        instruments: The instruments, in the order of their partitions.
        first: First session.
        last: Last session, inclusive.
        requests: Requests that it takes.
        rule: The rule that they are counted by.
    """

    job: str
    assets: tuple[str, ...]
    instruments: tuple[str, ...]
    first: dt.date
    last: dt.date
    requests: int
    rule: str

    def __str__(self) -> str:
        sessions = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        names = ", ".join(self.instruments[:3]) + (f" and {len(self.instruments) - 3} more" if len(self.instruments) > 3 else "")
        return f"{self.job} for {names}, {sessions}"


@dataclass(frozen=True)
class Decision:
    """What to start, and why not more.

    Attributes:
        fills: Runs to start, the newest sessions first.
        reasons: Why gaps are left, for a person; none where nothing is left.
    """

    fills: tuple[Fill, ...]
    reasons: tuple[str, ...] = ()


def what_to_fill(
    gaps: Sequence[Gap],
    budget: Mapping[str, Room],
    running: Sequence[Running],
    failures: Mapping[str, Failures],
    now: dt.datetime,
    *,
    order: Mapping[str, int] | None = None,
    patience: Patience = Patience(),
) -> Decision:
    """Decide which gaps to fill.

    The newest sessions come first: they are what somebody waits for. No more requests are started than may go at once, those of runs that are
    under way counted in, so that no run sits in a queue of its own making.

    Args:
        gaps: What is missing.
        budget: What may be asked, by rule; a rule that is not named has no limit.
        running: What is being filled already.
        failures: How often sessions could not be had, by `Gap.key`.
        now: The time, with a zone.
        order: Position of each instrument among the partitions of its asset, as `asset|instrument`; instruments side by side share a run.
        patience: How often and how much is tried.
    """
    if not gaps:
        return Decision(())
    reasons: list[str] = []
    open_gaps = list(_without_running(gaps, running, reasons))
    open_gaps = list(_without_failed(open_gaps, failures, now, patience, reasons))
    left = {rule: room.left - sum(run.requests for run in running if run.rule == rule) for rule, room in budget.items()}
    affordable = list(_affordable(open_gaps, left, budget, reasons))
    fills = sorted(_merged(affordable, order or {}), key=lambda fill: (fill.last, fill.first), reverse=True)
    if len(fills) > patience.runs:
        reasons.append(f"{len(fills) - patience.runs} more runs wait for the next tick")
    return Decision(tuple(fills[: patience.runs]), tuple(reasons))


def _kept(gap: Gap, sessions: frozenset[dt.date]) -> Iterator[Gap]:
    """Yield what is left of a gap without the steps that name one of `sessions`: a gap, or several."""
    for is_left, steps in groupby(gap.steps, key=lambda step: sessions.isdisjoint(step.sessions)):
        if is_left:
            yield Gap(gap.job, gap.asset, gap.series, tuple(steps), gap.rule)


def _without_running(gaps: Sequence[Gap], running: Sequence[Running], reasons: list[str]) -> Iterator[Gap]:
    count = 0
    for gap in gaps:
        busy = frozenset(s for s in gap.sessions if any(run.is_about(gap.asset, gap.series.instrument_id, s) for run in running))
        count += len(busy)
        yield from _kept(gap, busy) if busy else [gap]
    if count:
        reasons.append(f"{_sessions(count)} are being filled by runs that wait or work")


def _without_failed(gaps: Sequence[Gap], failures: Mapping[str, Failures], now: dt.datetime, patience: Patience, reasons: list[str]) -> Iterator[Gap]:
    given_up: list[str] = []
    again: list[dt.datetime] = []
    for gap in gaps:
        refused = set()
        for session in gap.sessions:
            failed = failures.get(gap.key(session))
            if failed is not None and failed.times >= patience.tries and now < failed.last + patience.pause:
                refused.add(session)
                given_up.append(f"{gap.series.instrument_id} {session}")
                again.append(failed.last + patience.pause)
        yield from _around(gap, refused) if refused else [gap]
    if given_up:
        names = ", ".join(given_up[:3]) + (" …" if len(given_up) > 3 else "")
        reasons.append(
            f"{_sessions(len(given_up))} could not be had {patience.tries} times or more ({names}), "
            f"trying again from {min(again).astimezone(dt.UTC):%Y-%m-%d} {utc(min(again))} on"
        )


def _around(gap: Gap, refused: set[dt.date]) -> Iterator[Gap]:
    """Yield what lies between refused sessions: a run over a range asks for all that is missing in it."""
    for is_left, pieces in groupby(_pieces(gap, refused), key=lambda step: refused.isdisjoint(step.sessions)):
        if is_left:
            yield Gap(gap.job, gap.asset, gap.series, tuple(pieces), gap.rule)


def _pieces(gap: Gap, refused: set[dt.date]) -> Iterator[Step]:
    for step in gap.steps:
        for _, sessions in groupby(step.sessions, key=refused.__contains__):
            yield Step(tuple(sessions), step.requests)


def _affordable(gaps: Sequence[Gap], left: dict[str, int], budget: Mapping[str, Room], reasons: list[str]) -> Iterator[Gap]:
    """Yield what may be asked now, the newest sessions of all gaps first."""
    steps = sorted(((step, gap) for gap in gaps for step in gap.steps), key=lambda item: item[0].sessions[-1], reverse=True)
    taken: dict[int, list[Step]] = {}
    short: dict[str, int] = {}
    for step, gap in steps:
        if gap.rule in budget:
            # A session that needs more than there ever is must not wait for ever.
            if min(step.requests, budget[gap.rule].limit) > left[gap.rule]:
                short[gap.rule] = short.get(gap.rule, 0) + step.requests
                left[gap.rule] = min(left[gap.rule], 0)  # older sessions do not overtake newer ones
                continue
            left[gap.rule] -= step.requests
        taken.setdefault(id(gap), []).append(step)
    for gap in gaps:
        wanted = set(map(id, taken.get(id(gap), ())))
        for is_taken, kept in groupby(gap.steps, key=lambda step: id(step) in wanted):
            if is_taken:
                yield Gap(gap.job, gap.asset, gap.series, tuple(kept), gap.rule)
    for rule, requests in short.items():
        room = budget[rule]
        reasons.append(f"budget: {max(0, room.left)} requests left until {utc(room.next_at)}, {requests:,} more are wanted")


def _merged(gaps: Sequence[Gap], order: Mapping[str, int]) -> Iterator[Fill]:
    """Yield runs: gaps of the same sessions and the same assets, of instruments whose partitions stand side by side, are one."""
    together: dict[tuple[str, str, str, dt.date, dt.date], list[Gap]] = {}
    for gap in gaps:
        key = gap.job, gap.series.instrument_id, gap.rule, gap.sessions[0], gap.sessions[-1]
        together.setdefault(key, []).append(gap)
    rows: dict[tuple[str, str, dt.date, dt.date, tuple[str, ...]], list[tuple[int, str, list[Gap]]]] = {}
    for (job, instrument, rule, first, last), alike in together.items():
        assets = tuple(sorted({gap.asset for gap in alike}))
        place = order.get(f"{assets[0]}|{instrument}", -1)
        rows.setdefault((job, rule, first, last, assets), []).append((place, instrument, alike))
    for (job, rule, first, last, assets), members in rows.items():
        for block in _side_by_side(sorted(members, key=lambda member: (member[0], member[1]))):
            all_gaps = [gap for _, _, alike in block for gap in alike]
            yield Fill(
                job=job,
                assets=assets,
                instruments=tuple(instrument for _, instrument, _ in block),
                first=first,
                last=last,
                requests=sum(step.requests for gap in all_gaps for step in gap.steps),
                rule=rule,
            )


def _side_by_side[T](members: Sequence[tuple[int, str, T]]) -> Iterator[list[tuple[int, str, T]]]:
    block: list[tuple[int, str, T]] = []
    for member in members:
        if block and (member[0] < 0 or member[0] != block[-1][0] + 1):
            yield block
            block = []
        block.append(member)
    if block:
        yield block


def _sessions(count: int) -> str:
    return f"{count:,} session{'' if count == 1 else 's'}"


def utc(time: dt.datetime) -> str:
    """Return a time of the day for a person: `14:35 UTC`."""
    return f"{time.astimezone(dt.UTC):%H:%M} UTC"
