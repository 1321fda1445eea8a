"""Tables of a PostgreSQL database as a source of bars.

    with connect("postgresql://reader@db/prices") as database:
        table = database.table("market_data", Reading(spec))
        for symbol in table.symbols():
            sums = table.sums(symbol.symbol, partitions, precision)          # by the server, a session a row
            bars = table.series(symbol.symbol).open(series, partitions, precision)  # through COPY, checked, spooled

Everything happens in one READ ONLY, REPEATABLE READ transaction, so what was counted and what was read is one state of the table.
"""

from __future__ import annotations

from market_data_pipeline.sources.postgres.connecting import Database, connect
from market_data_pipeline.sources.postgres.deprecating import mark_deprecated
from market_data_pipeline.sources.postgres.series import TableSeries
from market_data_pipeline.sources.postgres.shape import ColumnNames, Reading, Stamp
from market_data_pipeline.sources.postgres.table import BarsTable, SymbolRows

__all__ = ["BarsTable", "ColumnNames", "Database", "Reading", "Stamp", "SymbolRows", "TableSeries", "connect", "mark_deprecated"]
