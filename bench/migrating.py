"""(m) A table of PostgreSQL to the catalog, every rule checked and both sides reconciled."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import sqlalchemy as sa
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from bench.lines import Line, best_of, no_slower
from bench.made import CENTS, MINUTE, SERIES
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.ingest.migrate_postgres import Migration, migrate_postgres
from market_data_pipeline_tests.postgres import start_postgres
from market_data_pipeline_tests.postgres.bar_tables import libpq, make_legacy

_CLOSED_2023 = [
    "2023-01-02",
    "2023-01-16",
    "2023-02-20",
    "2023-04-07",
    "2023-05-29",
    "2023-06-19",
    "2023-07-04",
    "2023-09-04",
    "2023-11-23",
    "2023-12-25",
]
_ROWS_AT_ONCE = 50_000


def measure(folder: Path) -> Iterator[Line]:
    """Compare `mdp migrate postgres` with a script: read_sql in chunks, a Bar a row, one `write_data`; and with the bare COPY."""
    with start_postgres() as server:
        rows = make_legacy(server.url, {"AAPL": ("2023-01-01", "2023-12-31")}, _CLOSED_2023)
        server.run("ANALYZE market_data")
        reports = []

        def ours() -> None:
            shutil.rmtree(folder / "ours", ignore_errors=True)
            asked = Migration(url=libpq(server.url), venue="NASDAQ", accept_holes=True)
            reports.append(migrate_postgres(Catalog.open(folder / "ours"), asked, lambda _: CENTS).report)

        ours_s = best_of(2, ours)
        if not reports[-1].is_proven:
            raise AssertionError(reports[-1].verdict)
        started = time.perf_counter()
        ParquetDataCatalog(folder / "theirs").write_data(_bars_of(server.url))
        script_s = time.perf_counter() - started
        again = Migration(url=libpq(server.url), venue="NASDAQ")
        again_s = best_of(2, lambda: migrate_postgres(Catalog.open(folder / "ours"), again, lambda _: CENTS))
        copy_s = best_of(2, lambda: _copy(libpq(server.url)))
    work = f"{rows:,} rows to {reports[-1].symbols[0].sessions} session files, checked and reconciled ({rows / ours_s:,.0f} rows/s)"
    script = "pandas.read_sql in chunks, a Bar object a row, one write_data"
    yield no_slower(work, ours_s, script, script_s, 1, "not the same result: one file, nothing checked or compared")
    yield Line("the same again: nothing is read, all is compared", again_s, "the bare COPY of the rows, thrown away", copy_s)


def _bars_of(url: str) -> list[Bar]:
    kind = BarType.from_str(SERIES.bar_type)
    bars = []
    query = "SELECT timestamp, open::text, high::text, low::text, close::text, volume FROM market_data WHERE symbol = 'AAPL' ORDER BY timestamp"
    with sa.create_engine(url, poolclass=sa.pool.NullPool).connect().execution_options(stream_results=True) as connection:
        for frame in pd.read_sql(sa.text(query), connection, chunksize=_ROWS_AT_ONCE):
            moments = pd.to_datetime(frame["timestamp"], utc=True).dt.tz_localize(None).dt.as_unit("ns")
            opens = moments.to_numpy().astype(np.int64)
            prices = ([Price(float(value), CENTS.price) for value in frame[name]] for name in ("open", "high", "low", "close"))
            for o, h, low, c, v, opened in zip(*prices, frame["volume"], opens.tolist(), strict=True):
                bars.append(Bar(kind, o, h, low, c, Quantity.from_int(int(v)), opened, opened + MINUTE))
    return bars


def _copy(url: str) -> int:
    query = "COPY (SELECT id, timestamp, open, high, low, close, volume FROM market_data ORDER BY symbol, timestamp) TO STDOUT (FORMAT csv)"
    with psycopg.connect(url) as connection, connection.cursor() as cursor, cursor.copy(query) as copy:
        return sum(len(row) for row in copy)
