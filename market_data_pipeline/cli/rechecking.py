"""A recheck as `mdp load --recheck` and `--rebase` carry it out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.endings import Stopped
from market_data_pipeline.cli.load_progress import LoadMeter
from market_data_pipeline.cli.loading import hear_while_preparing
from market_data_pipeline.cli.options import Place
from market_data_pipeline.cli.progress import Meter
from market_data_pipeline.cli.symbols import instrument_id_of
from market_data_pipeline.domain.bar_types import BarSpec, Series
from market_data_pipeline.domain.errors import MarketDataError, SourceUnavailable, UsageError
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.recheck import RecheckEvent, RecheckOrder, RecheckReport, recheck
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, IbkrSettings


@dataclass(frozen=True)
class Rechecks:
    """What is to be asked for again.

    Attributes:
        names: Instrument ids, or symbols to be looked up.
        spec: The bars.
        last: How many sessions; None is all, to put the series on a new base.
        hours: Which hours; None is as stored.
        run: Store, or tell only.
    """

    names: tuple[str, ...]
    spec: BarSpec
    last: int | None
    hours: Hours | None
    run: Run

    @classmethod
    def parse(
        cls, names: Sequence[str], bar: str, last: int | None, hours: str | None, *, rebase: bool, dry_run: bool, others: Sequence[str]
    ) -> Rechecks:
        """Build from what was typed; `others` are options that were given and say what a load reaches.

        Raises:
            UsageError: If options do not go together, or the bar spec is none.
        """
        meant = "--rebase" if rebase else "--recheck"
        if rebase and last is not None:
            raise UsageError("--recheck asks again for the newest sessions, --rebase for all that are stored: give one of them.")
        if others:
            raise UsageError(f"{meant} is about sessions that are stored, so {', '.join(others)} cannot go with it.")
        return cls(
            tuple(dict.fromkeys(names)),
            BarSpec.parse(bar),
            None if rebase else last,
            Hours(hours) if hours is not None else None,
            Run.DRY if dry_run else Run.STORE,
        )

    @property
    def options(self) -> list[str]:
        """The options that say this again."""
        return ["--rebase"] if self.last is None else ["--recheck", str(self.last)]


@dataclass(frozen=True)
class Rechecked:
    """How a recheck of one name ended.

    Attributes:
        name: As it was typed.
        report: What was found.
        error: Why nothing was.
    """

    name: str
    report: RecheckReport | None = None
    error: MarketDataError | None = None

    @property
    def needs_somebody(self) -> bool:
        """True where something failed, or is to be decided."""
        return self.error is not None or (self.report is not None and self.report.needs_somebody)


def carry_out(place: Place, settings: IbkrSettings, wishes: Rechecks) -> tuple[Rechecked, ...]:
    """Ask again for what is wanted, and say how it ended.

    Raises:
        MarketDataError: If there is one series, and it failed as a whole; if the gateway does not answer.
        Stopped: On Ctrl-C.
    """
    done: list[Rechecked] = []
    with place.opened() as catalog, IbkrGateway(settings, hear_while_preparing) as gateway, Meter("bars/s") as meter:
        for name in wishes.names:
            try:
                series = Series.of(instrument_id_of(name, catalog, gateway, _again(place, wishes)), wishes.spec)
                steps = recheck(catalog, gateway, RecheckOrder(series, wishes.last, wishes.hours), run=wishes.run)
                done.append(Rechecked(name, _follow(catalog, series, steps, LoadMeter(meter, 1, gateway.budget, wishes.run))))
            except SourceUnavailable:
                raise
            except MarketDataError as error:
                if len(wishes.names) == 1:
                    raise
                done.append(Rechecked(name, error=error))
    return tuple(done)


def _again(place: Place, wishes: Rechecks) -> Callable[[str], str]:
    return lambda instrument_id: place.command("load", instrument_id, str(wishes.spec), *wishes.options)


def _follow(catalog: Catalog, series: Series, steps: Generator[RecheckEvent, None, RecheckReport], meter: LoadMeter) -> RecheckReport:
    with closing(steps):
        try:
            while True:
                meter.tell(series, next(steps))
        except StopIteration as end:
            report: RecheckReport = end.value
            return report
        except KeyboardInterrupt:
            steps.close()
            raise Stopped("Stopped. Stored sessions are whole and stay. The same command starts again.") from None
