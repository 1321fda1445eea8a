"""Brings what strategies need into the catalog before the open, so that their node starts from the catalog alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.live.history import History, OpenGateway, gather
from market_data_pipeline.live.need import Need, WarmUpSettings, merged
from market_data_pipeline.sources.ibkr import Hours

# Who has waited for so much of the time limit, and asked nothing, has found the gateway down.
_WAITED_IN_VAIN = 0.9
_ONE_TRY_S = 1.0


@dataclass(frozen=True)
class Prepared:
    """What came of one series.

    Attributes:
        need: The largest need of it.
        history: What is at hand; None where the series cannot be had at all.
        problem: Why it cannot; empty where it can.
    """

    need: Need
    history: History | None = None
    problem: str = ""

    @property
    def bars(self) -> int:
        """Bars that can be used: the newest, without a hole."""
        return 0 if self.history is None else len(self.history.bars)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why there are fewer than wanted, each with the way out."""
        return (self.problem,) if self.history is None else self.history.reasons


def prepare(
    catalog: Catalog,
    open_gateway: OpenGateway | None,
    needs: Iterable[Need],
    settings: WarmUpSettings,
    *,
    now_ns: int | None = None,
    hours: Callable[[Series], Hours | None] = lambda series: None,
    tell: Callable[[str], None] = lambda message: None,
    stored: Callable[[Series, SessionRow], None] = lambda series, row: None,
) -> Iterator[Prepared]:
    """Bring the history of each series into the catalog, one after the other; a series that cannot be had does not stop the others.

    The time limit of the settings is each series' own; once a gateway was waited for in vain, it is only tried once more for each of the others.

    Args:
        catalog: Where to look, and to store.
        open_gateway: Returns the gateway; None asks nobody.
        needs: What is needed; of several for one series the largest counts.
        settings: What may be done.
        now_ns: What counts as now until a gateway is asked for its clock, UTC nanoseconds; by default our clock.
        hours: Returns which hours to ask for of a series of which nothing is stored; None is what is usual.
        tell: Called with one line for a person whenever something is waited for or goes wrong.
        stored: Called with each session that was stored, as soon as its series has ended, however that ends.
    """
    for need in merged(needs):
        before = {row.session: row for row in catalog.sessions(need.series)}
        asked = hours(need.series) if catalog.convention(need.series) is None else None
        try:
            found = Prepared(need, gather(catalog, open_gateway, need, settings, now_ns=now_ns, hours=asked, tell=tell))
        except MarketDataError as error:
            tell(f"{need.series}: {error}")
            found = Prepared(need, problem=str(error))
        finally:
            for row in catalog.sessions(need.series):
                if before.get(row.session) != row:
                    stored(need.series, row)
        if open_gateway is not None and _waited_in_vain(found.history, settings):
            settings = settings.model_copy(update={"time_limit_s": min(_ONE_TRY_S, settings.time_limit_s)})
        yield found


def _waited_in_vain(history: History | None, settings: WarmUpSettings) -> bool:
    return history is not None and not history.requests and history.seconds >= _WAITED_IN_VAIN * settings.time_limit_s
