"""What a job brings into the catalog from outside: shown at the bars that universes have, with lines in the log that say how far it is."""

# No `from __future__ import annotations`: kept the same in all modules that touch Dagster's decorated functions.

import datetime as dt
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from market_data_pipeline.catalog import SessionRow
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.sessions import SessionRange
from market_data_pipeline.orchestration.bars import bars_key, session_materialization
from market_data_pipeline.orchestration.materializations import Materializations, RunContext
from market_data_pipeline.orchestration.partitions import UniversePartitions
from market_data_pipeline.watchlist import Universe, Watchlist

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS_BETWEEN_LINES = 2.0
_ROWS_SHOWN = 500


class BroughtIn:
    """Shows stored sessions at the bars of the first universe that has them; what no universe has is stored, and shown nowhere.

    Call `tell` at the end, however it comes.
    """

    def __init__(self, context: RunContext, watchlist: Watchlist) -> None:
        self._context, self._watchlist = context, watchlist
        self._shown = Materializations(context)
        self._places: dict[Series, tuple[str, Universe] | None] = {}
        self.shown = 0

    def add(self, series: Series, row: SessionRow, outcome: str) -> None:
        """Show a session that was stored just now."""
        if series not in self._places:
            self._places[series] = self._place_of(series)
        place = self._places[series]
        if place is None:
            return
        name, universe = place
        # The session that is running has a partition; what lies outside the universe's dates has none.
        if universe.start <= row.session <= (universe.end or dt.date.max):
            key = bars_key(name, str(series.spec))
            self._shown.add(session_materialization(key, series, row, {"outcome": outcome}))
            self.shown += 1

    def asset_of(self, series: Series) -> dg.AssetKey | None:
        """Return the asset at which a series is shown, or None."""
        place = self._place_of(series)
        return None if place is None else bars_key(place[0], str(series.spec))

    def tell_in_time(self) -> None:
        """Tell of all that wait, unless some were told of within the last second."""
        self._shown.tell_in_time()

    def tell(self) -> None:
        """Tell of all that wait."""
        self._shown.tell()

    def _place_of(self, series: Series) -> tuple[str, Universe] | None:
        spec = str(series.spec)
        for name, universe in self._watchlist.universes.items():
            if series.instrument_id in universe.instruments and spec in universe.bars:
                # An instrument that is new in the watchlist becomes a partition now, and not with the next tick of its sensor.
                UniversePartitions.of(name, universe).register(self._context.instance)
                return name, universe
        return None


class ProgressLines:
    """Lines in the log of a run that say how far it is, every two seconds at most: percent, what was counted, and the time left."""

    def __init__(self, context: dg.OpExecutionContext) -> None:
        self._context = context
        self._what = ""
        self._began = self._said_at = time.monotonic()

    def show(self, what: str, done: int, total: int, remark: str = "") -> None:
        """Tell that `done` of `total` of something are done; another `what` begins anew."""
        now = time.monotonic()
        if what != self._what:
            self._what, self._began = what, now
        if now - self._said_at < _SECONDS_BETWEEN_LINES or not 0 < done < total:
            return
        self._said_at = now
        left = (now - self._began) / done * (total - done)
        self._context.log.info(f"{what}: {done / total:.0%}{f', {remark}' if remark else ''}, about {left:.0f} s left.")


def gaps_as_table(gaps: "Sequence[SessionRange]") -> dg.TableMetadataValue:
    """Return ranges of sessions as a table, oldest first."""
    return as_table([{"first": str(gap.first), "last": str(gap.last), "sessions": gap.sessions} for gap in gaps], ("first", "last", "sessions"))


def as_table(rows: "Sequence[Mapping[str, str | int]]", columns: "Sequence[str]") -> dg.TableMetadataValue:
    """Return rows as a table of the page, the first few hundred; a column whose values are numbers is one of numbers."""
    kinds = {name: "int" if rows and all(isinstance(row[name], int) for row in rows) else "string" for name in columns}
    schema = dg.TableSchema([dg.TableColumn(name, kinds[name]) for name in columns])
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows[:_ROWS_SHOWN]], schema=schema)
