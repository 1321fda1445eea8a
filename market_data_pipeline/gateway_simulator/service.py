"""One client served: each of its messages to what answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from market_data_pipeline.gateway_simulator import account, answers, live, notices, requests, ticks
from market_data_pipeline.gateway_simulator.client import Client
from market_data_pipeline.gateway_simulator.delivery import Answer, changed_rows, rescheduled_by, rewrite_of, stale_id
from market_data_pipeline.gateway_simulator.gateway import Gateway
from market_data_pipeline.gateway_simulator.limits import Arrival
from market_data_pipeline.gateway_simulator.market import ContractQuery, HistoryRequest
from market_data_pipeline.gateway_simulator.messages import ORDERS, REQUEST_ID_PLACES, UNANSWERED, Ask
from market_data_pipeline.gateway_simulator.notices import Notice
from market_data_pipeline.gateway_simulator.scenario import Action, Fault, Kind
from market_data_pipeline.gateway_simulator.serving import Question, Serving
from market_data_pipeline.gateway_simulator.wire import Fields

_SCHEDULE, _BID_ASK = "SCHEDULE", "BID_ASK"
_BILLION = 1_000_000_000


class Service:
    """Serves one started client.

    Args:
        gateway: What all clients share.
        client: Whom.
    """

    def __init__(self, gateway: Gateway, client: Client) -> None:
        self._gateway = gateway
        self._client = client
        self._serving = Serving(gateway, client)
        self._own: Mapping[int, Callable[[Fields], Awaitable[None]]] = {
            Ask.MARKET_DATA: self._market_data,
            Ask.CURRENT_TIME: self._current_time,
            Ask.CONTRACT_DETAILS: self._contract_details,
            Ask.MATCHING_SYMBOLS: self._matching_symbols,
            Ask.HISTORICAL_DATA: self._historical_data,
            Ask.CANCEL_HISTORICAL_DATA: self._cancel_historical_data,
            Ask.HEAD_TIME_STAMP: self._head_time_stamp,
            Ask.CANCEL_HEAD_TIME_STAMP: self._cancel_head_time_stamp,
            Ask.REAL_TIME_BARS: self._real_time_bars,
            Ask.CANCEL_REAL_TIME_BARS: self._cancel_real_time_bars,
            Ask.HISTORICAL_TICKS: self._historical_ticks,
        }

    async def take(self, fields: Fields) -> None:
        """Take one message of the client.

        Raises:
            MalformedFrame: If it lacks a field, or one cannot be read.
        """
        number = fields.number()
        if number in self._own:
            await self._own[number](fields)
        elif number in account.ANSWERS:
            frames = account.ANSWERS[Ask(number)](fields, self._gateway.settings.account)
            await self._at_once(Kind.ACCOUNT, number, b"".join(frames), "account")
        elif number in ORDERS:
            await self._refuse(Kind.ORDER, number, fields, notices.READ_ONLY)
        elif number in UNANSWERED:
            await self._at_once(Kind.OTHER, number, b"", "taken")
        else:
            await self._refuse(Kind.OTHER, number, fields, notices.UNKNOWN_MESSAGE)

    async def _at_once(self, kind: Kind, number: int, data: bytes, said: str, request_id: int = notices.NO_REQUEST) -> None:
        name = Ask(number).name if number in Ask else f"message {number}"
        record = self._gateway.statistics.asked(kind, self._client.id, request_id, asked={"message": name})
        await self._client.write(data)
        self._gateway.statistics.answered(record, said)

    async def _refuse(self, kind: Kind, number: int, fields: Fields, notice: Notice) -> None:
        request_id = notices.NO_REQUEST
        if number in REQUEST_ID_PLACES:
            fields.skip(REQUEST_ID_PLACES[number] - 1)
            request_id = fields.number()
        data = notice.framed(request_id, {"id": number})
        await self._at_once(kind, number, data, f"error {notice.code}", request_id)

    async def _market_data(self, fields: Fields) -> None:
        await self._refuse(Kind.OTHER, Ask.MARKET_DATA, fields, notices.NOT_SUBSCRIBED)

    async def _current_time(self, _: Fields) -> None:
        await self._at_once(Kind.OTHER, Ask.CURRENT_TIME, answers.current_time(self._gateway.clock.now_ns() // _BILLION), "time")

    async def _contract_details(self, fields: Fields) -> None:
        request_id, query = requests.contract_details(fields)

        async def make(fault: Fault | None) -> Answer:
            gateway = self._gateway
            found = await gateway.compute(gateway.market.contracts, query, gateway.clock.now_ns())
            return Answer((*(answers.contract(request_id, one) for one in found), answers.contract_end(request_id)), "contracts", len(found))

        self._serving.arrived(Question(Kind.CONTRACTS, request_id, {}, make, query), lambda _: [], notices.FAILED)

    async def _matching_symbols(self, fields: Fields) -> None:
        request_id, pattern = fields.number(), fields.text()

        async def make(fault: Fault | None) -> Answer:
            gateway = self._gateway
            found = await gateway.compute(gateway.market.matching, pattern, gateway.clock.now_ns())
            return Answer((answers.symbols(request_id, found),), "symbols", len(found))

        question = Question(Kind.MATCHING, request_id, {"pattern": pattern}, make)
        self._serving.arrived(question, self._gateway.watch.matching, notices.MATCHING_TOO_FAST)

    async def _historical_data(self, fields: Fields) -> None:
        request_id, request = requests.historical_data(fields)
        asked = {
            "what": request.what,
            "bar_size": request.bar_size,
            "duration": request.duration,
            "end": request.end,
            "use_rth": request.use_rth,
            "format_date": request.format_date,
        }
        gateway, client = self._gateway, self._client
        if request.what == _SCHEDULE:
            question = Question(Kind.SCHEDULE, request_id, asked, partial(self._make_schedule, request_id, request), request.contract)
        elif request.keep_up_to_date:
            asked["keep_up_to_date"] = True
            follow = partial(live.keep_up_to_date, gateway, client, request_id, request)
            question = Question(Kind.HISTORY, request_id, asked, partial(self._make_bars, request_id, request), request.contract, follow)
        else:
            question = Question(Kind.HISTORY, request_id, asked, partial(self._make_bars, request_id, request), request.contract)
        self._historical(question, request.what)

    async def _make_bars(self, request_id: int, request: HistoryRequest, fault: Fault | None) -> Answer:
        gateway = self._gateway
        stale = [stale_id(self._client, request_id)] if fault is not None and fault.do is Action.STALE else []

        def work(now_ns: int) -> Answer:
            answer = gateway.market.history(request, now_ns, rewrite_of(fault, gateway.scenario.seed))
            rows = changed_rows(answer.rows, fault, gateway.scenario.random)
            return Answer(
                tuple(answers.bars(one, answer.start, answer.end, rows) for one in [*stale, request_id]), "bars", len(rows), until_ns=now_ns
            )

        return await gateway.compute(work, gateway.clock.now_ns())

    async def _make_schedule(self, request_id: int, request: HistoryRequest, fault: Fault | None) -> Answer:
        gateway = self._gateway
        answer = await gateway.compute(gateway.market.schedule, request, gateway.clock.now_ns(), rescheduled_by(fault))
        data = answers.schedule(request_id, answer.start, answer.end, answer.time_zone, answer.sessions)
        return Answer((data,), "sessions", len(answer.sessions))

    async def _head_time_stamp(self, fields: Fields) -> None:
        request_id, request = requests.head_time_stamp(fields)

        async def make(fault: Fault | None) -> Answer:
            gateway = self._gateway
            arguments = (request.contract, request.what, request.use_rth, request.format_date, gateway.clock.now_ns())
            return Answer((answers.head_time_stamp(request_id, await gateway.compute(gateway.market.head, *arguments)),), "head", 1)

        asked = {"what": request.what, "use_rth": request.use_rth, "format_date": request.format_date}
        self._historical(Question(Kind.HEAD, request_id, asked, make, request.contract), request.what)

    def _historical(self, question: Question, what: str) -> None:
        """Begin to serve a request that counts as a historical one."""
        gateway = self._gateway
        contract = _contract_key(question.query or ContractQuery())
        arrival = Arrival(
            # Hashes, because what a client sends can be long, and is kept for as long as a window lasts.
            series=hash((*contract, what)),
            identity=hash((question.kind, *contract, *question.asked.items())),
            weight=2 if what == _BID_ASK else 1,
        )
        open_now = gateway.statistics.open_now
        refusal = notices.TOO_MANY_OPEN if open_now >= gateway.settings.limits.open_at_once else notices.PACING
        self._serving.arrived(question, lambda now_ns: gateway.watch.historical(now_ns, arrival, open_now), refusal)

    async def _historical_ticks(self, fields: Fields) -> None:
        request_id, request = requests.historical_ticks(fields)

        async def make(fault: Fault | None) -> Answer:
            gateway = self._gateway
            data, count = await gateway.compute(ticks.answer, gateway.market, request_id, request, gateway.clock.now_ns())
            return Answer((data,), "ticks", count)

        asked = {"what": request.what, "start": request.start, "end": request.end, "count": request.count, "use_rth": request.use_rth}
        self._historical(Question(Kind.TICKS, request_id, asked, make, request.contract), request.what)

    async def _cancel_historical_data(self, fields: Fields) -> None:
        fields.skip()
        request_id = fields.number()
        notice = notices.QUERY_CANCELLED if self._serving.cancel(request_id) else notices.NO_SUCH_QUERY
        await self._at_once(Kind.OTHER, Ask.CANCEL_HISTORICAL_DATA, notice.framed(request_id, {"id": request_id}), f"error {notice.code}", request_id)

    async def _cancel_head_time_stamp(self, fields: Fields) -> None:
        request_id = fields.number()
        self._serving.cancel(request_id)
        await self._at_once(Kind.OTHER, Ask.CANCEL_HEAD_TIME_STAMP, b"", "taken", request_id)

    async def _real_time_bars(self, fields: Fields) -> None:
        request_id, request = requests.real_time_bars(fields)
        gateway, client = self._gateway, self._client

        async def make(fault: Fault | None) -> Answer:
            now_ns = gateway.clock.now_ns()
            await gateway.compute(gateway.market.contract, request.contract, now_ns)
            return Answer((), "real-time bars", until_ns=now_ns)

        asked = {"what": request.what, "use_rth": request.use_rth}
        follow = partial(live.real_time_bars, gateway, client, request_id, request)
        self._serving.arrived(Question(Kind.REAL_TIME, request_id, asked, make, request.contract, follow), lambda _: [], notices.FAILED)

    async def _cancel_real_time_bars(self, fields: Fields) -> None:
        fields.skip()
        request_id = fields.number()
        self._serving.cancel(request_id)
        await self._at_once(Kind.OTHER, Ask.CANCEL_REAL_TIME_BARS, b"", "taken", request_id)


def _contract_key(query: ContractQuery) -> tuple[str, ...]:
    """Return what makes two queries mean one contract on one exchange."""
    if query.con_id:
        return (str(query.con_id), query.exchange)
    strike = "" if query.strike in {"0", "0.0"} else query.strike  # clients write "no strike" in three ways
    words = (query.symbol, query.sec_type, query.expiry, strike, query.right, query.currency, query.local_symbol, query.trading_class)
    return (*words, query.exchange)
