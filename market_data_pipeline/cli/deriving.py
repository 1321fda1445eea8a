"""`mdp load --derive`: which finer bars are meant, progress, and what a person is told."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.endings import Stopped
from market_data_pipeline.cli.options import Place
from market_data_pipeline.cli.output import note
from market_data_pipeline.cli.progress import Meter
from market_data_pipeline.cli.rendering.checks import title
from market_data_pipeline.cli.words import count
from market_data_pipeline.domain.bar_types import BarSpec, Series
from market_data_pipeline.domain.errors import ConfigurationError, MarketDataError, UsageError
from market_data_pipeline.domain.source import SessionFailure
from market_data_pipeline.ingest.derive import Derivation, DeriveEvent, DeriveOrder, DerivePlan, derive, finer_stored
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.load import Planned, Refetch, Stored
from market_data_pipeline.ingest.modes import Reach

if TYPE_CHECKING:
    from market_data_pipeline.watchlist import Watchlist


def watchlist_of(place: Place) -> Watchlist | None:
    """Return the watchlist; None where there is none, or a wrong one, which is told: bars can be had without it."""
    if place.config is None or not place.config.is_file():
        return None
    from market_data_pipeline.watchlist import read_watchlist

    try:
        return read_watchlist(place.config)
    except ConfigurationError as error:
        note(f"The watchlist is not used: {error}")
        return None


def declared_finer(place: Place, names: Sequence[str], spec: BarSpec) -> dict[str, BarSpec]:
    """Return what the watchlist derives these bars from, by instrument; those that it does not derive, and symbols, are left out."""
    watchlist = watchlist_of(place)
    if watchlist is None:
        return {}
    listed = {one for universe in watchlist.universes.values() for one in universe.instruments}
    found = {name: watchlist.finer_of(Series.of(name, spec)) for name in names if name in listed}
    return {name: finer.spec for name, finer in found.items() if finer is not None}


def is_derived(place: Place, names: Sequence[str], spec: BarSpec) -> bool:
    """Return whether the watchlist derives these bars, so that nobody is to be asked for them.

    Raises:
        UsageError: If it derives them of some of the instruments only.
    """
    declared = declared_finer(place, names, spec)
    if declared and (others := [name for name in names if name not in declared]):
        raise UsageError(
            f"The watchlist derives {spec} of {', '.join(declared)}, and not of {', '.join(others)}. Load them by two commands, or derive all "
            "with --derive."
        )
    return bool(declared)


def carry_out(
    place: Place, names: Sequence[str], spec: BarSpec, finer: BarSpec | None, reach: Reach, refetch: Refetch, run: Run
) -> tuple[Derivation, ...]:
    """Derive what is wanted, and say how it ended.

    Raises:
        MarketDataError: If there is one series, and it failed as a whole.
        Stopped: On Ctrl-C, with how far it came.
    """
    declared = declared_finer(place, names, spec) if finer is None else {}
    with place.opened() as catalog:
        orders = [_order(catalog, name, spec, finer or declared.get(name), reach, refetch) for name in dict.fromkeys(names)]
        with Meter("bars/s") as meter:
            done = _follow(derive(catalog, orders, run=run), _Progress(meter, run, len(orders)))
    if len(done) == 1 and done[0].error is not None:
        raise done[0].error
    return done


def _order(catalog: Catalog, name: str, spec: BarSpec, finer: BarSpec | None, reach: Reach, refetch: Refetch) -> DeriveOrder:
    series = Series.of(name, spec)
    return DeriveOrder(series, finer_stored(catalog, series) if finer is None else Series(series.instrument_id, finer), reach, refetch)


class _Progress:
    """Shows how far deriving of some series is."""

    def __init__(self, meter: Meter, run: Run, series: int) -> None:
        self._meter, self._run, self._of = meter, run, series
        self._done = self._total = self._bars = self.stored = 0

    def tell(self, series: Series, event: DeriveEvent) -> None:
        """Show an event of a series."""
        name = title(series)
        match event:
            case DerivePlan():
                if self._run is Run.STORE:
                    self._meter.line(f"{name}: {plan_words(event)}")
            case Planned():
                self._done, self._total, self._bars = 0, event.plan.sessions, 0
            case Stored():
                self._done, self._bars, self.stored = event.done, self._bars + event.row.rows, self.stored + 1
                self._meter.show(name, event.done, event.of, self._bars, event.seconds_left)
            case SessionFailure():
                self._done += 1
                self._meter.show(name, self._done, self._total, self._bars)
            case MarketDataError() if self._of > 1:  # alone, it ends the command, which tells it
                self._meter.line(f"{name}: failed: {event}")


def plan_words(plan: DerivePlan) -> str:
    """Return what deriving is about to do: `21 sessions to derive from 1-MINUTE-LAST (2 of them anew), about 1,638 bars, no request`."""
    if not plan.missing:
        return "nothing to derive; all is stored"
    anew = f" ({len(plan.stale):,} of them anew: their finer bars were replaced)" if plan.stale else ""
    what = f"{count(len(plan.missing), 'session')} to derive from {plan.order.finer.spec}{anew}"
    return f"{what}, at most about {count(plan.plan.bars, 'bar')}, no request"


def _follow(steps: Generator[tuple[Series, DeriveEvent], None, tuple[Derivation, ...]], progress: _Progress) -> tuple[Derivation, ...]:
    with closing(steps):
        try:
            while True:
                progress.tell(*next(steps))
        except StopIteration as end:
            done: tuple[Derivation, ...] = end.value
            return done
        except KeyboardInterrupt:
            steps.close()  # it commits what is stored; only then is it true that it stands
            raise Stopped(f"Stopped. {count(progress.stored, 'session')} stored; they stay, and the same command goes on from there.") from None
