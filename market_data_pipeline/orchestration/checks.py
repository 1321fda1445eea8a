"""Checks of a bars asset, made at the end of each of its runs.

They are not partitioned (partitioned checks misreport in runs over a range): each lists what fails in its metadata. The first three
read back from the catalog the sessions that the run was asked for; the others speak of the whole universe.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np

from market_data_pipeline.domain.bar_table import PRICE_COLUMNS, BarTable
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.quality import broken_rows
from market_data_pipeline.domain.sessions import date_of
from market_data_pipeline.domain.words import agreeing, count
from market_data_pipeline.orchestration import revised
from market_data_pipeline.orchestration.mending import gap_table
from market_data_pipeline.orchestration.revised import is_asked_of_the_broker

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from dagster._core.definitions.metadata import RawMetadataValue

    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.domain.sessions import SessionRange
    from market_data_pipeline.orchestration.partitions import UniversePartitions

READ_BACK = ("bar_schema", "ohlc_order", "no_duplicates")
"""The checks that read bars back; one that fails stops a backtest on these bars."""

FAILING = "failing"
"""Metadata of a check that fails: the series, or instruments, that it fails for."""

_SHOWN = 50
_TABLES_AT_ONCE = 256
_DAY_NS = 86_400_000_000_000


def blocking_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return those checks of a bars asset that block: a backtest on bars that fail them would be wrong."""
    blocking = {
        "bar_schema": "The stored sessions have the columns, types and value ranges of bars (a pandera contract).",
        "ohlc_order": "low <= open, close <= high in every stored bar, and no negative volume.",
        "no_duplicates": "No bar stands twice or out of order, and each lies in its session.",
        "instrument_present": "A definition of every instrument with bars is stored; without it Nautilus answers 'Instrument not found'.",
    }
    return [dg.AssetCheckSpec(name, asset=key, description=text, blocking=True) for name, text in blocking.items()]


def check_specs(key: dg.AssetKey, partitions: UniversePartitions, spec: str) -> list[dg.AssetCheckSpec]:
    """Return the checks of the bars of a universe."""
    text = "Every session of the calendar, from the universe's start to the newest that has ended, is complete or known to be empty."
    specs = [*blocking_specs(key), dg.AssetCheckSpec("calendar_complete", asset=key, description=text)]
    if is_asked_of_the_broker(partitions, spec):
        specs.append(dg.AssetCheckSpec(revised.NAME, asset=key, description=revised.DESCRIPTION))
    return specs


def evaluate(catalog: Catalog, partitions: UniversePartitions, spec: str, asked: Mapping[str, Sequence[dt.date]]) -> Iterator[dg.AssetCheckResult]:
    """Yield the result of each check, after sessions of `asked` (by instrument) were loaded."""
    bars = 0
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in READ_BACK}
    for instrument, sessions in asked.items():
        series = Series.of(instrument, spec)
        bars += look_at_bars(catalog, series, min(sessions), max(sessions), found)
    for name, failures in found.items():
        yield _result(name, failures, {"bars_read": bars})
    absent = [(i, f"run the job {partitions.name}_instruments") for i in asked if catalog.instruments.definition(i) is None]
    yield _result("instrument_present", absent, {"instruments": len(asked)})
    yield _completeness(catalog, partitions, spec)
    if is_asked_of_the_broker(partitions, spec):
        yield revised.evaluate_revised(catalog, partitions, spec)


def look_at_bars(catalog: Catalog, series: Series, start: dt.date, end: dt.date, found: Mapping[str, list[tuple[str, str]]]) -> int:
    """Read back sessions dated in [start, end]; add what is wrong, as (series, what), under the name of its check; return the number of bars.

    Raises:
        CorruptFile: At the first file that cannot be trusted.
    """
    bars, name = 0, str(series)
    for table in _in_batches(catalog, series, start, end):
        bars += len(table)
        found["bar_schema"] += [(name, failure) for failure in _schema_failures(table)]
        found["ohlc_order"] += [(name, f"{rule}: {int(mask.sum())} bars, first on {_date(table, mask)}") for rule, mask in _broken(table)]
        if not table.is_ordered():
            found["no_duplicates"].append((name, f"between {date_of(int(table.ts_init[0]) // _DAY_NS)} and the next {len(table):,} bars"))
    return bars


def _broken(table: BarTable) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    return [(rule, mask) for rule, mask in broken_rows(table).items() if mask.any()]


def _date(table: BarTable, mask: npt.NDArray[np.bool_]) -> dt.date:
    return date_of(int(table.ts_event[mask][0]) // _DAY_NS)


def _in_batches(catalog: Catalog, series: Series, start: dt.date, end: dt.date) -> Iterator[BarTable]:
    """Yield the bars of sessions in [start, end], many files joined, so that memory stays bounded."""
    waiting: list[BarTable] = []
    for table in catalog.read(series, start, end):
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
    last = universe.settled_session(spec)
    gaps: list[tuple[Series, SessionRange]] = []
    if last is not None:
        for series in universe.series(spec):
            gaps += [(series, gap) for gap in catalog.gaps(series, universe.start, last, hours=universe.fetched_hours)]
    sessions = sum(gap.sessions for _, gap in gaps)
    behind = len({one for one, _ in gaps})
    return dg.AssetCheckResult(
        check_name="calendar_complete",
        passed=not gaps,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{count(sessions, 'session')} of {behind} series {agreeing(sessions, 'is', 'are')} missing or partial, "
        f"in {count(len(gaps), 'range')}."
        if gaps
        else "Nothing is missing.",
        metadata={
            "sessions_missing_or_partial": sessions,
            "ranges": len(gaps),
            "gaps": gap_table(catalog, partitions, gaps),
            "what_to_do": "Run one of the commands beside the gap." if gaps else "Nothing.",
        },
    )


def _result(name: str, failures: Sequence[tuple[str, str]], facts: Mapping[str, int]) -> dg.AssetCheckResult:
    columns = [dg.TableColumn("where"), dg.TableColumn("what")]
    table = dg.MetadataValue.table([dg.TableRecord({"where": a, "what": b}) for a, b in failures[:_SHOWN]], schema=dg.TableSchema(columns))
    metadata: dict[str, RawMetadataValue] = {**facts, "failures": len(failures)}
    if failures:
        metadata |= {"first_failures": table, FAILING: dg.MetadataValue.json(sorted({where for where, _ in failures}))}
    return dg.AssetCheckResult(check_name=name, passed=not failures, severity=dg.AssetCheckSeverity.ERROR, metadata=metadata)
