"""A load as `mdp load` carries it out: symbols looked up, the plan told, progress shown, and a summary at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.endings import Stopped
from market_data_pipeline.cli.load_progress import LoadMeter
from market_data_pipeline.cli.long_loads import confirm_if_long
from market_data_pipeline.cli.options import Place
from market_data_pipeline.cli.output import note
from market_data_pipeline.cli.progress import Meter
from market_data_pipeline.cli.symbols import instrument_id_of
from market_data_pipeline.domain.bar_types import BarSpec, Series
from market_data_pipeline.domain.errors import MarketDataError, SourceUnavailable, UsageError
from market_data_pipeline.domain.sessions import parse_date
from market_data_pipeline.domain.source import NewsKind, SourceNews
from market_data_pipeline.ingest.from_broker import BrokerEvent, Order, Outcome, Prepared, load_from_broker
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.load import Refetch
from market_data_pipeline.ingest.modes import Holes, Mode, Reach
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, IbkrSettings


@dataclass(frozen=True)
class Wishes:
    """What a person wants to be loaded.

    Attributes:
        names: Instrument ids, or symbols to be looked up.
        spec: The bars.
        reach: From where to where.
        hours: Which hours, or None.
        refetch: Whether to ask again for what is stored whole.
        run: Store, or tell only.
        however_long: Whether a load of many hours is meant, although nobody said from where on.
    """

    names: tuple[str, ...]
    spec: BarSpec
    reach: Reach
    hours: Hours | None
    refetch: Refetch
    run: Run
    however_long: bool = False

    @classmethod
    def parse(
        cls,
        names: Sequence[str],
        bar: str,
        mode: str | None,
        start: str | None,
        end: str | None,
        hours: str | None,
        *,
        no_holes: bool,
        refetch: bool,
        dry_run: bool,
        however_long: bool = False,
    ) -> Wishes:
        """Build from what was typed; whoever says from where on, and no mode, wants all from there on.

        Raises:
            UsageError: If the bar spec or a date is none, or the range runs backwards.
        """
        first, last = (None if text is None else parse_date(text) for text in (start, end))
        meant = Mode(mode) if mode is not None else Mode.FULL if first is not None else Mode.TAIL
        return cls(
            names=tuple(dict.fromkeys(names)),
            spec=_spec(bar),
            reach=Reach(meant, first, last, Holes.LEAVE if no_holes else Holes.FILL),
            hours=Hours(hours) if hours is not None else None,
            refetch=Refetch.YES if refetch else Refetch.NO,
            run=Run.DRY if dry_run else Run.STORE,
            however_long=however_long,
        )

    @property
    def options(self) -> list[str]:
        """The options that say what is to be loaded and how, for a command to type next."""
        given = {"--mode": self.reach.mode, "--start": self.reach.start, "--end": self.reach.end, "--hours": self.hours}
        said = {
            "--no-holes": self.reach.holes is Holes.LEAVE,
            "--refetch": self.refetch is Refetch.YES,
            "--dry-run": self.run is Run.DRY,
            "--yes": self.however_long,
        }
        return [
            *(word for option, value in given.items() if value is not None for word in (option, str(value))),
            *(option for option, meant in said.items() if meant),
        ]


@dataclass(frozen=True)
class Done:
    """What a load did.

    Attributes:
        run: Whether it stored, or told only.
        outcomes: How each series ended.
        not_found: Names that the broker does not know, and why.
        seconds: Time taken.
    """

    run: Run
    outcomes: tuple[Outcome, ...]
    not_found: tuple[tuple[str, MarketDataError], ...]
    seconds: float

    @property
    def failed(self) -> bool:
        """True where anything that was asked for could not be had."""
        return bool(self.not_found) or any(outcome.failed for outcome in self.outcomes)


def carry_out(place: Place, settings: IbkrSettings, wishes: Wishes) -> Done:
    """Load what is wanted, and say how it ended.

    Raises:
        MarketDataError: If there is one series, and it failed as a whole; if the gateway does not answer; if a symbol is ambiguous.
        Stopped: On Ctrl-C, with how far it came.
    """
    started = time.monotonic()
    with place.opened() as catalog, IbkrGateway(settings, hear_while_preparing) as gateway:
        orders, not_found = _orders(place, catalog, gateway, wishes)
        with Meter("bars/s") as meter:
            progress = LoadMeter(meter, len(orders), gateway.budget, wishes.run)
            sure = _sure(place, wishes, len(orders))
            outcomes = _follow(load_from_broker(catalog, gateway, orders, run=wishes.run), progress, sure)
    errors = [*(error for _, error in not_found), *(outcome.error for outcome in outcomes if outcome.error is not None)]
    if errors and len(wishes.names) == 1:
        if stands := progress.what_stands():
            note(stands)
        raise errors[0]
    return Done(wishes.run, outcomes, tuple(not_found), time.monotonic() - started)


def _orders(place: Place, catalog: Catalog, gateway: IbkrGateway, wishes: Wishes) -> tuple[list[Order], list[tuple[str, MarketDataError]]]:
    """Look the names up; one that nobody knows does not stop the others."""
    orders: dict[Series, Order] = {}
    not_found: list[tuple[str, MarketDataError]] = []

    def command(instrument_id: str) -> str:
        return place.command("load", instrument_id, str(wishes.spec), *wishes.options)

    for name in wishes.names:
        try:
            series = Series.of(instrument_id_of(name, catalog, gateway, command), wishes.spec)
        except SourceUnavailable:
            raise
        except MarketDataError as error:
            not_found.append((name, error))
            continue
        orders[series] = Order(series, wishes.reach, wishes.hours, wishes.refetch)
    return [*orders.values()], not_found


def hear_while_preparing(news: SourceNews) -> None:
    """Tell what happens before the first plan: contracts and head time stamps are asked for, and a gateway may be slow or gone."""
    if news.kind in (NewsKind.RETRYING, NewsKind.RECONNECTING, NewsKind.NOTE):
        note(news.message)


def _sure(place: Place, wishes: Wishes, series: int) -> Callable[[BrokerEvent], None]:
    """Return what is called with each event, and asks once all series have told what they take: is a load of many hours meant?"""
    heard: list[BrokerEvent] = []

    def hear(event: BrokerEvent) -> None:
        if len(heard) == series:
            return
        heard.append(event)
        if len(heard) == series and wishes.run is Run.STORE and wishes.reach.start is None and not wishes.however_long:
            prepared = [one for one in heard if isinstance(one, Prepared) and one.missing]
            confirm_if_long(prepared, place.command("load", *wishes.names, str(wishes.spec)))

    return hear


def _follow(
    steps: Generator[tuple[Series, BrokerEvent], None, tuple[Outcome, ...]], meter: LoadMeter, hear: Callable[[BrokerEvent], None]
) -> tuple[Outcome, ...]:
    """Run the load to its end and return how each series ended."""
    with closing(steps):
        try:
            while True:
                series, event = next(steps)
                meter.tell(series, event)
                hear(event)
        except StopIteration as end:
            outcomes: tuple[Outcome, ...] = end.value
            return outcomes
        except KeyboardInterrupt:
            # Closing commits what is stored; only then is it true that it stands.
            steps.close()
            raise Stopped(meter.how_far()) from None


def _spec(text: str) -> BarSpec:
    try:
        return BarSpec.parse(text)
    except UsageError as error:
        raise type(error)(f"{error} The bar spec comes last: mdp load AAPL.NASDAQ 1-MINUTE-LAST") from None
