"""What the Parquet catalog holds of a series that is to be warmed up, and which hours it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog, SessionRow
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Coverage
from market_data_pipeline.domain.errors import ConflictingBars, InvalidInstrumentId
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline.live.need import WarmUpSettings, WarmUpSource
from market_data_pipeline.live.reach import Held, Schedule, Situation
from market_data_pipeline.sources.ibkr import Hours, contract_of
from market_data_pipeline.sources.ibkr.questions import bar_size_of, what_to_show
from market_data_pipeline.sources.ibkr.source import default_hours

if TYPE_CHECKING:
    from collections.abc import Iterable

_BROKER = "ibkr"


def readable(catalog: Catalog | None, settings: WarmUpSettings) -> Catalog | None:
    """Return the catalog, where there is one and history may come from it."""
    return catalog if settings.may_ask(WarmUpSource.CATALOG) else None


def require_live_bars(series: Series) -> None:
    """Refuse a series that Interactive Brokers has no bars of: no live bar would ever follow its history.

    Raises:
        InvalidBarType: If it has no bars of this length, or none of this price.
        InvalidInstrumentId: If it lists nothing under the id.
    """
    bar_size_of(series.spec)
    what_to_show(contract_of(series.instrument_id).secType, series.spec.price_type)


def hours_of(catalog: Catalog | None, series: Series, asked: Hours | None) -> Hours:
    """Return the hours of a series: those that are stored, else as asked, else regular hours of stocks and all hours of everything else.

    Raises:
        ConflictingBars: If other hours are asked for than are stored.
    """
    stored = None if catalog is None else catalog.convention(series)
    if stored is not None:
        hours = Hours(stored.hours)
        if asked not in (None, hours):
            raise ConflictingBars(
                f"{series} is stored with {hours} hours, and {asked} hours are asked for. They are never mixed: warm up with {hours} hours, "
                "or use another catalog with --catalog PATH."
            )
        return hours
    if asked is not None:
        return asked
    try:
        return default_hours(contract_of(series.instrument_id).secType)
    except InvalidInstrumentId:  # nothing of IBKR's, so nothing that IBKR's habits say anything about
        return Hours.ALL


def situation_of(
    catalog: Catalog | None, series: Series, schedule: Schedule, lookback: int, now_ns: int, brought: Mapping[int, Held] | None = None
) -> Situation:
    """Return what is at hand of a series at a moment, as far back as a warm-up may go.

    Args:
        catalog: What is stored; None where nothing may be read.
        series: The series.
        schedule: When its bars close.
        lookback: How many sessions a warm-up may go back.
        now_ns: The moment, UTC nanoseconds.
        brought: What was brought just now, by partition; it says more than what is stored.
    """
    held: dict[int, Held] = {}
    newest = schedule.newest(now_ns)
    if catalog is not None and newest >= 0:
        days = schedule.partitions.days
        rows = catalog.sessions(series, date_of(days[max(0, newest - lookback + 1)]), date_of(days[newest]))
        held = held_of(rows, series)
    return Situation(schedule, held | dict(brought or {}), now_ns)


def held_of(rows: Iterable[SessionRow], series: Series) -> dict[int, Held]:
    """Return what stored sessions hold, by partition.

    A session that was trading when Interactive Brokers was asked has every bar up to its last one; a file that holds a part may lack any.
    """
    partitions, held = partitions_of(series), {}
    for row in rows:
        position = partitions.index_of(row.session)
        if position is not None:
            until = row.last_close_ns if row.coverage is Coverage.PARTIAL and row.source == _BROKER else None
            held[position] = Held(row.coverage, row.rows, row.last_close_ns, until)
    return held
