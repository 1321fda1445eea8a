"""Interactive Brokers as a source of bars."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from market_data_pipeline.domain.bar_types import BarSpec, PriceType, Series
from market_data_pipeline.domain.coverage import SIMULATED, Convention, Provenance, SessionAnswer
from market_data_pipeline.domain.errors import SourceRefused, UsageError
from market_data_pipeline.domain.planning import PlannedRequest, estimate, plan_requests
from market_data_pipeline.domain.request_sizes import RequestSizes
from market_data_pipeline.domain.source import Asked, RequestPlan, SessionFailure, SourceNews
from market_data_pipeline.sources.ibkr.asking import Asker
from market_data_pipeline.sources.ibkr.contracts import asking_contract, contract_of, resolve
from market_data_pipeline.sources.ibkr.fetching import Fetch, Request, Told
from market_data_pipeline.sources.ibkr.gateway import IbkrGateway
from market_data_pipeline.sources.ibkr.questions import bar_size_of, what_to_show
from market_data_pipeline.sources.ibkr.settings import ExcessDecimals, Hours

if TYPE_CHECKING:
    from ib_async.contract import ContractDetails


class IbkrSource:
    """The bars of one series at Interactive Brokers. Fulfils `domain.source.BarSource`.

    Args:
        gateway: Whom to ask; stays open.
        series: What to ask for.
        details: The contract, if it was resolved before; None to ask for it with the first fetch.
        hours: Which hours; None for regular hours of stocks and funds, and all hours of everything else.
        excess_decimals: What to do with values that need more decimals than the instrument has: refuse their session, or round them and
            say so; None is as in the gateway's settings.
        head_ns: From when on there is data (UTC nanoseconds), if that is known: sessions that end before it are answered as empty, unasked.
        simulated: Whether bars of the gateway simulator are meant: stored as a convention of their own, they never mix with real ones. None asks
            whoever is there.

    Raises:
        InvalidInstrumentId: If IBKR could list nothing under the id.
        InvalidBarType: If IBKR has no such bars.
    """

    def __init__(
        self,
        gateway: IbkrGateway,
        series: Series,
        *,
        details: ContractDetails | None = None,
        hours: Hours | None = None,
        excess_decimals: ExcessDecimals | None = None,
        head_ns: int | None = None,
        simulated: bool | None = None,
    ) -> None:
        self._gateway = gateway
        self._series = series
        self._details = details
        contract = details.contract if details is not None else None
        self._sec_type = (contract or contract_of(series.instrument_id)).secType
        if self._sec_type == "CONTFUT":
            raise UsageError(
                f"{series.instrument_id} is a continuous future: IBKR gives its bars up to now only. Ask for a dated one, for example ESZ6.CME."
            )
        self._what = what_to_show(self._sec_type, series.spec.price_type)
        bar_size_of(series.spec)  # refused here rather than by the gateway
        self._hours = hours or default_hours(self._sec_type)
        self._excess_decimals = excess_decimals or gateway.settings.excess_decimals
        self._head_ns = head_ns
        self.simulated = simulated

    @property
    def hours(self) -> Hours:
        """Which hours are asked for."""
        return self._hours

    @property
    def what_to_show(self) -> str:
        """What the bars are made of, as IBKR writes it."""
        return self._what

    @property
    def provenance(self) -> Provenance:
        """`ibkr`, what is asked for, and under which convention: IBKR's trades of stocks are adjusted for splits."""
        adjusted = _is_adjusted(self._sec_type, self._series.spec)
        asked = f"{'SIMULATED ' if self.simulated else ''}{self._what} of {self._series.instrument_id} ({self._sec_type}), {self._hours} hours"
        adjustment = SIMULATED if self.simulated else "split" if adjusted else "raw"
        return Provenance("ibkr", asked, Convention(str(self._hours), adjustment))

    def details(self) -> ContractDetails:
        """Return the contract, asked of the gateway once.

        Raises:
            ContractUnknown: If IBKR lists no such contract.
            ContractAmbiguous: If several fit; the message lists them.
            SourceError: If the gateway cannot be asked, or refuses.
        """
        if self._details is None:
            self._details = resolve(self._gateway, self._series.instrument_id)
        return self._details

    def plan(self, asked: Asked) -> RequestPlan:
        """Return what `fetch` would take at the rate of the pacing rules. Asks nobody.

        Raises:
            ConfigurationError: If the request sizes or pacing rules are configured wrong.
            UsageError: If another series is asked for.
        """
        return estimate(self.requests(asked), asked.partitions, self._gateway.profile)

    def requests(self, asked: Asked) -> list[PlannedRequest]:
        """Return the requests that `fetch` would make, oldest first, if every answer is clean. Asks nobody."""
        self._check(asked)
        now_ns = time.time_ns() + self._gateway.clock_ahead_ns
        plan = plan_requests(asked.partitions, asked.sessions, self._sizes, now_ns, self._hours)
        return [request for request in plan if self._head_ns is None or request.end_ns > self._head_ns]

    def fetch(self, asked: Asked) -> Iterator[SessionAnswer | SessionFailure | SourceNews]:
        """Yield an answer or a failure of each session, oldest first, as soon as it is whole, and news between them.

        A session that still trades is answered as partial, up to its last closed bar; with no bars if none has closed yet. Sessions before the
        head time stamp are answered as empty: it is given, or asked for once when a request has brought nothing. Stopping the generator cancels
        what is under way, at the gateway too.

        Raises:
            SourceUnavailable: If the gateway cannot be reached, or is gone for good; what was yielded before stands.
            SourceRefused: If the gateway lists no such contract, or is a simulator where a real one is meant, or the other way round.
            UsageError: If another series is asked for.
        """
        self._check(asked)
        if not asked.sessions:
            return
        self._require_the_gateway_meant()
        details = self.details()
        request = Request(
            asking_contract(details), self._what, self._hours, self._sizes, self._excess_decimals, details.priceMagnifier, self._head_ns
        )

        def work(asker: Asker, tell: Callable[[Told], None]) -> Coroutine[Any, Any, None]:
            return Fetch(asker, asked, request, tell).run()

        yield from self._gateway.stream(work)

    def _require_the_gateway_meant(self) -> None:
        """Refuse to mix invented prices with real ones."""
        if self.simulated is None or self._gateway.is_simulated() == self.simulated:
            return
        here, there = ("simulated", "real") if self.simulated else ("real", "simulated")
        raise SourceRefused(
            f"{self._series} holds {here} bars, and the gateway at {self._gateway.settings.place} gives {there} ones: they are never mixed. "
            "Use another catalog with --catalog PATH (or MDP_CATALOG), or another gateway with IB_PORT."
        )

    @property
    def _sizes(self) -> RequestSizes:
        return RequestSizes.named(self._gateway.settings.request_sizes)

    def _check(self, asked: Asked) -> None:
        if asked.series != self._series:
            raise UsageError(f"This source answers {self._series}, and was asked for {asked.series}.")


def fits_broker(series: Series, stored: Convention | None) -> bool:
    """Return whether bars of the broker may stand beside what is stored: IBKR adjusts trades of stocks for splits, a file often does not."""
    if stored is None or stored.adjustment == SIMULATED:
        return True
    adjusted = _is_adjusted(contract_of(series.instrument_id).secType, series.spec)
    return stored.adjustment == ("split" if adjusted else "raw")


def _is_adjusted(sec_type: str, spec: BarSpec) -> bool:
    return sec_type == "STK" and spec.price_type is PriceType.LAST


def default_hours(sec_type: str) -> Hours:
    """Return the hours asked for if nobody says: regular hours of stocks and funds, all hours of everything else."""
    return Hours.RTH if sec_type == "STK" else Hours.ALL
