"""A warm-up as `mdp warmup` plans it and brings it: symbols looked up, every series by itself, progress shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from pydantic import ValidationError

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.endings import Stopped
from market_data_pipeline.cli.load_progress import LoadMeter
from market_data_pipeline.cli.loading import hear_while_preparing
from market_data_pipeline.cli.options import Place
from market_data_pipeline.cli.progress import Meter
from market_data_pipeline.cli.symbols import instrument_id_of
from market_data_pipeline.domain.bar_types import BarSpec, Series, refuse_bar_type
from market_data_pipeline.domain.errors import MarketDataError, SourceUnavailable, UsageError
from market_data_pipeline.live.bringing import bring
from market_data_pipeline.live.history import History
from market_data_pipeline.live.need import Need, WarmUpSettings, WarmUpSource
from market_data_pipeline.live.plan import WarmUpPlan, plan_warm_up
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, IbkrSettings


@dataclass(frozen=True)
class Wishes:
    """What a person wants to be warmed up.

    Attributes:
        names: Instrument ids, or symbols to be looked up.
        spec: The bars.
        bars: How many an indicator needs.
        settings: What may be done.
        hours: Which hours, or None.
    """

    names: tuple[str, ...]
    spec: BarSpec
    bars: int
    settings: WarmUpSettings
    hours: Hours | None

    @classmethod
    def parse(
        cls,
        names: Sequence[str],
        bar: str,
        bars: int,
        buffer: float,
        sources: Sequence[str] | None,
        lookback: int,
        hours: str | None,
        *,
        load: bool,
    ) -> Wishes:
        """Build from what was typed.

        Raises:
            UsageError: If the bar spec is none, a number cannot be meant, or something is to be loaded and nobody asked.
        """
        for name in names:
            refuse_bar_type(name, "warmup")
        spec = BarSpec.parse(bar)
        if bars < 1:
            raise UsageError(f"--bars {bars} warms nothing. Give the longest period of the indicators, at least 1.")
        for source in sources or ():
            if source not in [*WarmUpSource]:
                raise UsageError(f"--source {source!r} is not known. Write {' or '.join(WarmUpSource)}.")
        allowed = tuple(dict.fromkeys(map(WarmUpSource, sources or WarmUpSource)))
        if load and WarmUpSource.IBKR not in allowed:
            raise UsageError("--load asks IBKR for what the catalog lacks. Add --source ibkr, or leave --load out.")
        if load and WarmUpSource.CATALOG not in allowed:
            raise UsageError("--load stores in the catalog. Add --source catalog, or leave --load out.")
        try:
            settings = WarmUpSettings(buffer=buffer, lookback_sessions=lookback, sources=allowed)
        except ValidationError as error:
            problem = error.errors()[0]
            option = {"buffer": "--buffer", "lookback_sessions": "--lookback"}.get(str(problem["loc"][0]), str(problem["loc"][0]))
            raise UsageError(f"{option} {problem['input']}: {problem['msg']}.") from None
        return cls(tuple(dict.fromkeys(names)), spec, bars, settings, Hours(hours) if hours is not None else None)

    def command(self, place: Place, *names: str) -> str:
        """Return the command that brings it; the dry run of others is the same without --load."""
        options = ["--bars", str(self.bars)]
        usual = WarmUpSettings()
        if self.settings.buffer != usual.buffer:
            options += ["--buffer", f"{self.settings.buffer:g}"]
        if self.settings.lookback_sessions != usual.lookback_sessions:
            options += ["--lookback", str(self.settings.lookback_sessions)]
        if self.hours is not None:
            options += ["--hours", str(self.hours)]
        return place.command("warmup", *names, str(self.spec), *options)

    def next_command(self, place: Place) -> str:
        """Return the command that brings all of it."""
        return f"{self.command(place, *self.names)} --load"


@dataclass(frozen=True)
class Warmed:
    """What became of one name: a plan, and a history where it was brought; or an error.

    Attributes:
        name: As it was typed.
        plan: What there is and would be asked.
        history: What was brought; None on a dry run.
        error: Why there is neither.
    """

    name: str
    plan: WarmUpPlan | None = None
    history: History | None = None
    error: MarketDataError | None = None

    @property
    def enough(self) -> bool:
        """True where a strategy is, or would be, ready before its first live bar."""
        if self.history is not None:
            return self.history.enough
        return self.plan is not None and self.plan.enough


def plan_all(place: Place, settings: IbkrSettings, wishes: Wishes) -> list[Warmed]:
    """Find out what warming up takes, and bring nothing.

    Raises:
        MarketDataError: If there is one series, and it cannot be planned.
        SourceUnavailable: If a symbol has to be looked up, and the gateway does not answer.
    """
    with _opened(place, settings) as (catalog, gateway):
        return _each(wishes, lambda name: _planned(place, catalog, gateway, wishes, name))


def bring_all(place: Place, settings: IbkrSettings, wishes: Wishes) -> list[Warmed]:
    """Bring what is missing into the catalog, showing progress. One series that fails does not stop the others.

    Raises:
        MarketDataError: If there is one series, and it cannot be planned.
        SourceUnavailable: If a symbol has to be looked up, and the gateway does not answer.
        Stopped: On Ctrl-C, with how far it came.
    """
    with _opened(place, settings) as (catalog, gateway), Meter("bars/s") as meter:
        progress = LoadMeter(meter, len(wishes.names), gateway.budget)
        try:
            return _each(wishes, lambda name: _brought(place, catalog, gateway, wishes, name, progress))
        except KeyboardInterrupt:
            raise Stopped(progress.how_far()) from None


@contextmanager
def _opened(place: Place, settings: IbkrSettings) -> Iterator[tuple[Catalog, IbkrGateway]]:
    with place.opened() as catalog, IbkrGateway(settings, hear_while_preparing) as gateway:
        yield catalog, gateway


def _each(wishes: Wishes, work: Callable[[str], Warmed]) -> list[Warmed]:
    done: list[Warmed] = []
    for name in wishes.names:
        try:
            done.append(work(name))
        except SourceUnavailable:
            raise
        except MarketDataError as error:
            if len(wishes.names) == 1:
                raise
            done.append(Warmed(name, error=error))
    return done


def _planned(place: Place, catalog: Catalog, gateway: IbkrGateway, wishes: Wishes, name: str) -> Warmed:
    need = _need(place, catalog, gateway, wishes, name)
    return Warmed(name, plan_warm_up(catalog, lambda: gateway, need, wishes.settings, hours=wishes.hours))


def _brought(place: Place, catalog: Catalog, gateway: IbkrGateway, wishes: Wishes, name: str, progress: LoadMeter) -> Warmed:
    need = _need(place, catalog, gateway, wishes, name)
    plan = plan_warm_up(catalog, lambda: gateway, need, wishes.settings, hours=wishes.hours)
    with closing(bring(catalog, lambda: gateway, need, wishes.settings, hours=wishes.hours)) as steps:
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                history: History = end.value
                return Warmed(name, plan, history)
            progress.tell(need.series, event)


def _need(place: Place, catalog: Catalog, gateway: IbkrGateway, wishes: Wishes, name: str) -> Need:
    instrument_id = instrument_id_of(name, catalog, gateway, lambda found: wishes.command(place, found))
    return Need(Series.of(instrument_id, wishes.spec), wishes.bars)
