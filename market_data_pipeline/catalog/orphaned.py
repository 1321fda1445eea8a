"""Stored sessions that a calendar override would leave without a place: such an override is refused."""

from __future__ import annotations

import datetime as dt

import numpy as np

from market_data_pipeline.calendars import calendar_name_of_venue, partitions_of
from market_data_pipeline.calendars.overrides import current_mark, overrides_of
from market_data_pipeline.catalog.ledger import SeriesRow
from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.domain.sessions import Partitions, date_of

_SHOWN = 5


def orphans(row: SeriesRow, partitions: Partitions) -> list[dt.date]:
    """Return the stored sessions of a series that are no partitions, oldest first."""
    if row.first_day is None:
        return []
    days = row.first_day + np.flatnonzero(row.strip)
    return [date_of(day) for day in days[~np.isin(days, partitions.days)]]


def require_sessions(row: SeriesRow | None) -> SeriesRow | None:
    """Return the row, after making sure that the overrides of its calendar leave every stored session its place. Free where there are none.

    Raises:
        ConfigurationError: If they do not; the message names the sessions and the way out.
    """
    mark = current_mark()
    if row is None or mark is None or calendar_name_of_venue(row.series.venue) not in overrides_of(mark):
        return row
    lost = orphans(row, partitions_of(row.series))
    if not lost:
        return row
    raise ConfigurationError(orphaned_words(f"{mark.file} closes", "Take the date out of that file", row, lost))


def orphaned_words(who: str, cure: str, row: SeriesRow, lost: list[dt.date]) -> str:
    """Return what to tell a person of sessions that are, or would be, without a place."""
    shown = ", ".join(map(str, lost[:_SHOWN])) + (f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else "")
    return (
        f"{who} {shown}, and sessions of {row.series} are stored there: they would belong to no session. Nothing was changed. {cure}; "
        f"or, if those bars are wrong, move their files out of data/bar/{row.series.folder} and run `mdp catalog verify` before you close it."
    )
