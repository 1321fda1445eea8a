"""The market behind a simulated gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.gateway_simulator.market.bar_sizes import BarSize
from market_data_pipeline.gateway_simulator.market.bars import Bars, Price, Tape
from market_data_pipeline.gateway_simulator.market.contracts import ContractQuery, ListedContract
from market_data_pipeline.gateway_simulator.market.directory import Directory
from market_data_pipeline.gateway_simulator.market.durations import OBSERVED, Duration, HistoryLimits, parse_end
from market_data_pipeline.gateway_simulator.market.hours import DAY_S, Hours, date_texts, hours_of, local_texts
from market_data_pipeline.gateway_simulator.market.invented import InventedTape
from market_data_pipeline.gateway_simulator.market.questions import BarRow, HistoryAnswer, HistoryRequest, ScheduleAnswer
from market_data_pipeline.gateway_simulator.market.reading import TimedBars, read_bars
from market_data_pipeline.gateway_simulator.market.recorded import read_recorded
from market_data_pipeline.gateway_simulator.market.refusal import end_of_continuous_future, invalid_request, no_data
from market_data_pipeline.gateway_simulator.market.requesting import Reach, reach_of
from market_data_pipeline.gateway_simulator.market.rewriting import Rescheduled, Rewrite
from market_data_pipeline.gateway_simulator.market.shows import ADJUSTED, Show, show_of
from market_data_pipeline.gateway_simulator.market.texts import AS_SECONDS, AS_TEXT, stamps, values

_SECOND_NS = 10**9
_KEPT_UP_TO_DATE = ("TRADES", "AGGTRADES", "MIDPOINT", "BID", "ASK")
_SHORTEST_KEPT_S = 5


class Market:
    """Contracts and their bars: deterministic in contract, time and seed, with no clock of its own (`now_ns` is UTC nanoseconds since 1970).

    Args:
        directory: The contracts.
        seed: Another seed is another market.
        recorded: Tapes by instrument id, served instead of invented ones.
        limits: What is refused as too long, or too old.
    """

    def __init__(self, directory: Directory, seed: int = 1, recorded: Mapping[str, Tape] | None = None, limits: HistoryLimits = OBSERVED) -> None:
        self._directory = directory
        self._seed = seed
        self._tapes: dict[tuple[str, int], Tape] = {}
        self._recorded = dict(recorded or {})
        self._limits = limits

    @classmethod
    def standard(cls, seed: int = 1, extra: Path | None = None, recorded: Path | None = None, limits: HistoryLimits = OBSERVED) -> Market:
        """Return the market of the package's contracts.

        Args:
            seed: Another seed is another market.
            extra: A file of further contracts.
            recorded: A folder of recorded bars (CSV files or a Parquet catalog), served instead of invented ones.
            limits: What is refused as too long, or too old.

        Raises:
            MarketDataError: If a file is wrong; it says how to mend it.
        """
        directory = Directory.read(extra)
        return cls(directory, seed, read_recorded(recorded, directory) if recorded else None, limits)

    @property
    def recorded(self) -> tuple[str, ...]:
        """Instrument ids whose bars are recorded ones."""
        return tuple(sorted(self._recorded))

    # Contracts

    def contracts(self, query: ContractQuery, now_ns: int) -> list[ListedContract]:
        """Return the contracts that a description fits.

        Raises:
            Refusal: 200 if there is none.
        """
        return self._directory.find(query, now_ns)

    def contract(self, query: ContractQuery, now_ns: int) -> ListedContract:
        """Return the one contract that a description fits.

        Raises:
            Refusal: 200 if there is none, or there are several.
        """
        return self._directory.one(query, now_ns)

    def matching(self, pattern: str, now_ns: int) -> list[ListedContract]:
        """Return contracts whose symbol or name holds a text, stocks first."""
        return self._directory.matching(pattern, now_ns)

    # Bars

    def history(self, request: HistoryRequest, now_ns: int, rewrite: Rewrite | None = None) -> HistoryAnswer:
        """Return historical bars, the forming one as far as it has come. Not for SCHEDULE: that is `schedule`.

        Args:
            request: What is asked.
            now_ns: The time.
            rewrite: What became of the history; None where it is as it was.

        Raises:
            Refusal: 200, 321, 10299, 10314, 10339 for what cannot be meant; 162 where there is nothing.
        """
        contract = self._directory.one(request.contract, now_ns)
        size = BarSize.parse(request.bar_size)
        show = show_of(contract, request.what, size)
        _check_form(request, contract, size)
        duration = Duration.parse(request.duration)
        self._limits.check(size, duration, contract.calendar.name)
        end_ns = parse_end(request.end, now_ns)
        hours = _hours(contract, use_rth=request.use_rth)
        reach = self._reach(contract, hours, show, size, duration, end_ns)
        timed = self._read(contract, hours, reach, show, size, now_ns)
        if size.period is None:
            asked = (timed.bars.start_s * _SECOND_NS < end_ns) & (timed.stop_s > reach.start_s)
            kept = self._limits.oldest_ns(size, now_ns) <= timed.bars.start_s * _SECOND_NS
            timed = timed.take(asked & kept)
        if rewrite is not None and len(timed.bars):
            timed = rewrite.apply(timed, _dates(timed, hours, size), _step(contract, show, timed.bars))
        if not len(timed.bars):
            raise no_data(f"{contract.subject} {show.subject}")
        columns = (stamps(timed, size, contract.time_zone, request.format_date), *values(timed.bars))
        start, end = (f"{_local(moment_s, hours)} {contract.time_zone}" for moment_s in (reach.start_s, end_ns // _SECOND_NS))
        return HistoryAnswer(start, end, list(zip(*columns, strict=True)))

    def current_bar(self, request: HistoryRequest, now_ns: int) -> BarRow | None:
        """Return the newest bar of a request as it stands: what keepUpToDate sends. None while nothing has happened in the session.

        Raises:
            Refusal: As `history`.
        """
        contract = self._directory.one(request.contract, now_ns)
        size = BarSize.parse(request.bar_size)
        show = show_of(contract, request.what, size)
        hours = _hours(contract, use_rth=request.use_rth)
        reach = self._reach(contract, hours, show, size, Duration(size.seconds, "S"), now_ns)
        timed = self._read(contract, hours, reach, show, size, now_ns)
        return _row(timed.take(np.array([-1])), size, contract.time_zone, request.format_date) if len(timed.bars) else None

    def bar_at(self, contract: ListedContract, what: str, use_rth: bool, start_ns: int, length_ns: int, now_ns: int) -> BarRow | None:
        """Return what happened in [start_ns, start_ns + length_ns) as far as it has come, stamped in seconds. For real-time bars.

        None if nothing happened, or the contract does not trade then.

        Raises:
            Refusal: If `what` cannot be shown of the contract.
        """
        size = BarSize(f"{length_ns // _SECOND_NS} secs", length_ns // _SECOND_NS)
        show = show_of(contract, what, size)
        start_s = start_ns // _SECOND_NS
        hours = _hours(contract, use_rth=use_rth)
        spans = hours.spans.clipped(start_s, start_s + size.seconds)
        tape = self._tape(contract)
        pieces = [tape.pieces(spans, price, size.seconds, now_ns // _SECOND_NS) for price in show.prices]
        bars = [part.aggregate(np.zeros(len(part), dtype=np.int64))[0] for part in pieces]
        if not all(map(len, bars)):
            return None
        whole = replace(_together(bars), start_s=np.array([start_s]))
        none = np.zeros(1, dtype=np.int64)
        return _row(TimedBars(whole, none, none), size, contract.time_zone, AS_SECONDS)

    def head(self, query: ContractQuery, what: str, use_rth: bool, format_date: int, now_ns: int) -> str:
        """Return where the oldest bar begins: `YYYYMMDD-HH:MM:SS` UTC, or seconds since 1970 UTC for formatDate 2.

        Raises:
            Refusal: 200, 321, 10299 for what cannot be meant, 162 where there is nothing.
        """
        contract = self._directory.one(query, now_ns)
        size = BarSize.parse("1 day")
        show = show_of(contract, what, size)
        hours = _hours(contract, use_rth=use_rth)
        first = self._first_session(contract, hours, show)
        listed = hours.start_s[first : first + 1].tolist()
        kept = [self._tape(contract).first_s(price) for price in show.prices]
        start_s = max([*listed, *(moment for moment in kept if moment is not None)], default=now_ns)
        if start_s >= now_ns // _SECOND_NS:
            raise no_data(f"{contract.subject} {show.subject}")
        return str(start_s) if format_date == AS_SECONDS else local_texts(np.array([start_s]), 0, "-")[0]

    def schedule(self, request: HistoryRequest, now_ns: int, rescheduled: Rescheduled | None = None) -> ScheduleAnswer:
        """Return the sessions of a request for SCHEDULE.

        Args:
            request: What is asked.
            now_ns: The time.
            rescheduled: Sessions that are other than in the calendar; None where none is.

        Raises:
            Refusal: As `history`; 321 for other bars than days.
        """
        contract = self._directory.one(request.contract, now_ns)
        size = BarSize.parse(request.bar_size)
        if size.name != "1 day":
            raise invalid_request("Historical schedule requests are supported only for bar size 1 day.")
        duration = Duration.parse(request.duration)
        end_ns = parse_end(request.end, now_ns)
        hours = _hours(contract, use_rth=request.use_rth)
        reach = reach_of(contract, hours, size, duration, end_ns // _SECOND_NS, max(1, hours.first_dated(contract.listed)))
        positions = np.unique(hours.session[hours.span_at(reach.spans.start_s)])
        if not len(positions):
            raise no_data(f"{contract.subject} Schedule")
        offsets = hours.offset_s[positions]
        starts, ends = (local_texts(column[positions], offsets, "-") for column in (hours.start_s, hours.stop_s))
        sessions = list(zip(starts, ends, date_texts(hours.days[positions]), strict=True))
        if rescheduled is not None:
            sessions = rescheduled.apply(sessions)
        return ScheduleAnswer(starts[0], ends[-1], contract.time_zone, sessions)

    # From a request to bars

    def _tape(self, contract: ListedContract) -> Tape:
        recorded = self._recorded.get(contract.instrument_id)
        if recorded is not None:
            return recorded
        key = contract.instrument_id, contract.con_id
        if key not in self._tapes:
            self._tapes[key] = InventedTape(contract.behaviour, contract.calendar, f"{contract.sec_type}/{contract.con_id}", self._seed)
        return self._tapes[key]

    def _first_session(self, contract: ListedContract, hours: Hours, show: Show) -> int:
        listed = contract.listed if show.prices == (Price.TRADES,) else max(contract.listed, contract.quoted)
        # The first session of a calendar has no window: partitions begin with the second.
        return max(1, hours.first_dated(listed))

    def _reach(self, contract: ListedContract, hours: Hours, show: Show, size: BarSize, duration: Duration, end_ns: int) -> Reach:
        # A bar that begins in the second of the end has begun before it if the end is later than that second.
        end_s = -(-end_ns // _SECOND_NS)
        return reach_of(contract, hours, size, duration, end_s, self._first_session(contract, hours, show))

    def _read(self, contract: ListedContract, hours: Hours, reach: Reach, show: Show, size: BarSize, now_ns: int) -> TimedBars:
        tape = self._tape(contract)
        read = [read_bars(tape, hours, reach.spans, price, size, now_ns // _SECOND_NS) for price in show.prices]
        return read[0] if len(read) == 1 else replace(read[0], bars=_together([timed.bars for timed in read]))


def _hours(contract: ListedContract, *, use_rth: bool) -> Hours:
    return hours_of(contract.calendar, contract.time_zone, regular=use_rth)


def _step(contract: ListedContract, show: Show, bars: Bars) -> int:
    """Return the smallest step of a price; that of recorded bars of other decimals is the last of them."""
    behaviour = contract.behaviour
    if bars.decimals != behaviour.decimals:
        return 1
    return behaviour.quantum if Price.MIDPOINT in show.prices else behaviour.tick


def _dates(timed: TimedBars, hours: Hours, size: BarSize) -> Int64s:
    """Return the day number of the session of each bar; for bars of a day and longer that of their label."""
    start_s = timed.bars.start_s
    return hours.days[hours.session[hours.span_at(start_s)]] if size.period is None else start_s // DAY_S


def _together(bars: list[Bars]) -> Bars:
    """Return BID_ASK bars of bids and asks: average bid, highest ask, lowest bid, average ask.

    The averages are those of the four prices of a bar, rounded outwards.
    """
    if len(bars) == 1:
        return bars[0]
    bid, ask = (part.ohlc for part in bars)
    return replace(bars[0], ohlc=np.stack([bid.sum(axis=0) // 4, ask[1], bid[2], -(-ask.sum(axis=0) // 4)]))


def _check_form(request: HistoryRequest, contract: ListedContract, size: BarSize) -> None:
    """Refuse combinations of fields that IBKR refuses.

    Raises:
        Refusal: 321 or 10339.
    """
    if request.format_date not in (AS_TEXT, AS_SECONDS):
        raise invalid_request(f"Date formatting selection of {request.format_date} rejected.")
    if request.end.strip() and contract.sec_type == "CONTFUT":
        raise end_of_continuous_future()
    if request.end.strip() and request.what == ADJUSTED:
        raise invalid_request("End Date not supported with adjusted last.")
    if request.keep_up_to_date and (request.end.strip() or size.seconds < _SHORTEST_KEPT_S or request.what not in _KEPT_UP_TO_DATE):
        raise invalid_request("Historical data with keepUpToDate needs an empty end date, bars of 5 secs or more, and TRADES, MIDPOINT, BID or ASK.")


def _row(timed: TimedBars, size: BarSize, zone: str, format_date: int) -> BarRow:
    """Return the only bar as texts."""
    texts = (column[0] for column in (stamps(timed, size, zone, format_date), *values(timed.bars)))
    return BarRow(int(timed.bars.start_s[0]) * _SECOND_NS, *texts)


def _local(moment_s: int, hours: Hours) -> str:
    """Return a moment on local clocks, as headers of answers tell it."""
    position = max(0, hours.begun_before(moment_s) - 1)
    return local_texts(np.array([moment_s]), int(hours.offset_s[position]))[0]
