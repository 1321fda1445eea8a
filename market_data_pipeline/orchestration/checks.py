"""Checks of a bars asset, made at the end of each of its runs.

They are not partitioned (partitioned checks misreport in runs over a range): each lists what fails in its metadata. The first three
read back from the catalog the sessions that the run was asked for; the others speak of the whole universe.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from market_data_pipeline.domain.bar_table import PRICE_COLUMNS, BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.quality import broken_rows
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline.orchestration.metadata import gap_table

if TYPE_CHECKING:
    import pandas as pd
    from dagster._core.definitions.metadata import RawMetadataValue

    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.domain.sessions import SessionRange
    from market_data_pipeline.orchestration.partitions import UniversePartitions

_SHOWN = 50
_TABLES_AT_ONCE = 256


def check_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return the checks of a bars asset; blocking where a backtest on such bars would be wrong."""
    blocking = {
        "bar_schema": "The stored sessions have the columns, types and value ranges of bars (a pandera contract).",
        "ohlc_order": "low <= open, close <= high in every stored bar, and no negative volume.",
        "no_duplicates": "No bar stands twice or out of order, and each lies in its session.",
        "instrument_present": "A definition of every instrument with bars is stored; without it Nautilus answers 'Instrument not found'.",
    }
    specs = [dg.AssetCheckSpec(name, asset=key, description=text, blocking=True) for name, text in blocking.items()]
    text = "Every session of the calendar, from the universe's start to the newest that has ended, is complete or known to be empty."
    return [*specs, dg.AssetCheckSpec("calendar_complete", asset=key, description=text)]


def evaluate(catalog: Catalog, partitions: UniversePartitions, spec: str, asked: Mapping[str, Sequence[dt.date]]) -> Iterator[dg.AssetCheckResult]:
    """Yield the result of each check, after sessions of `asked` (by instrument) were loaded."""
    bars, wrong_schema, wrong_rows, twice = 0, [], [], []
    for instrument, sessions in asked.items():
        series = Series.of(instrument, spec)
        for table in _in_batches(catalog, series, sessions):
            bars += len(table)
            wrong_schema += [(str(series), failure) for failure in _schema_failures(table)]
            wrong_rows += [(str(series), f"{rule}: {int(mask.sum())} bars") for rule, mask in broken_rows(table).items() if mask.any()]
            if not table.is_ordered():
                twice.append((str(series), f"between {date_of(int(table.ts_init[0]) // 86_400_000_000_000)} and the next {len(table):,} bars"))
    read = {"bars_read": bars}
    yield _result("bar_schema", wrong_schema, read)
    yield _result("ohlc_order", wrong_rows, read)
    yield _result("no_duplicates", twice, read)
    absent = [(i, f"run the job {partitions.name}_instruments") for i in asked if catalog.instruments.definition(i) is None]
    yield _result("instrument_present", absent, {"instruments": len(asked)})
    yield _completeness(catalog, partitions, spec)


def _in_batches(catalog: Catalog, series: Series, sessions: Sequence[dt.date]) -> Iterator[BarTable]:
    """Yield the bars from the first to the last of `sessions`, many files joined, so that memory stays bounded."""
    waiting: list[BarTable] = []
    for table in catalog.read(series, min(sessions), max(sessions)):
        waiting.append(table)
        if len(waiting) == _TABLES_AT_ONCE:
            yield BarTable.concatenate(waiting)
            waiting.clear()
    if waiting:
        yield BarTable.concatenate(waiting)


def _schema_failures(table: BarTable) -> list[str]:
    """Return what pandera finds wrong; it collects no more cases than a person reads (all of a million took 4 GB)."""
    import pandas as pd
    import pandera.pandas as pa
    from pandera.config import config_context
    from pandera.errors import SchemaErrors

    price = pa.Column("int64", nullable=False)
    stamp = pa.Column("datetime64[ns, UTC]", nullable=False)
    contract = pa.DataFrameSchema(
        {
            **dict.fromkeys(PRICE_COLUMNS, price),
            "volume": pa.Column("int64", pa.Check.ge(0, n_failure_cases=_SHOWN), nullable=False),
            "ts_event": stamp,
            "ts_init": stamp,
        },
        checks=pa.Check(lambda frame: frame["ts_init"] > frame["ts_event"], name="closes after it opens", n_failure_cases=_SHOWN),
        strict=True,
        ordered=True,
    )
    frame: pd.DataFrame = pd.DataFrame({name: table.column(name) for name in (*PRICE_COLUMNS, "volume")})
    for name in ("ts_event", "ts_init"):
        frame[name] = pd.to_datetime(table.column(name), unit="ns", utc=True)
    try:
        with config_context(validation_enabled=True):
            contract.validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases.head(_SHOWN)
        return [f"{row.column}: {row.check} ({row.failure_case})" for row in cases.itertuples()]
    return []


def _completeness(catalog: Catalog, partitions: UniversePartitions, spec: str) -> dg.AssetCheckResult:
    universe = partitions.universe
    last = universe.last_session(spec)
    gaps: list[tuple[Series, SessionRange]] = []
    if last is not None:
        for series in universe.series(spec):
            gaps += [(series, gap) for gap in catalog.gaps(series, universe.start, last)]
    sessions = sum(gap.sessions for _, gap in gaps)
    return dg.AssetCheckResult(
        check_name="calendar_complete",
        passed=not gaps,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "sessions_missing_or_partial": sessions,
            "gaps": gap_table(partitions.name, gaps, _SHOWN),
            "what_to_do": "Run the command beside the gap; `mdp check` names the file to import." if gaps else "Nothing.",
        },
    )


def _result(name: str, failures: Sequence[tuple[str, str]], facts: Mapping[str, int]) -> dg.AssetCheckResult:
    columns = [dg.TableColumn("where"), dg.TableColumn("what")]
    table = dg.MetadataValue.table([dg.TableRecord({"where": a, "what": b}) for a, b in failures[:_SHOWN]], schema=dg.TableSchema(columns))
    metadata: dict[str, RawMetadataValue] = {**facts, "failures": len(failures), **({"first_failures": table} if failures else {})}
    return dg.AssetCheckResult(check_name=name, passed=not failures, severity=dg.AssetCheckSeverity.ERROR, metadata=metadata)
