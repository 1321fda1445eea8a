"""What the Dagster page shows beside a materialisation."""

from __future__ import annotations

import base64
import datetime as dt
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np

from market_data_pipeline.calendars import calendar_of_venue
from market_data_pipeline.catalog import Availability, Catalog, SessionRow
from market_data_pipeline.domain.bar_types import Series

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dagster._core.definitions.metadata import RawMetadataValue

    from market_data_pipeline.domain.source import Precision

BAR_COLUMNS = dg.TableSchema(
    columns=[
        dg.TableColumn("ts_event", "timestamp[ns, UTC]", description="The bar's open."),
        dg.TableColumn("ts_init", "timestamp[ns, UTC]", description="The bar's close; day bars close at 23:59:59.999999999 of their date."),
        dg.TableColumn("open", "decimal", description="At the instrument's price precision, exact."),
        dg.TableColumn("high", "decimal"),
        dg.TableColumn("low", "decimal"),
        dg.TableColumn("close", "decimal"),
        dg.TableColumn("volume", "decimal", description="At the instrument's size precision; 0 where the source has none."),
    ]
)


def utc_text(ns: int | None) -> str:
    """Return nanoseconds since 1970 as `2024-01-05 14:30:00 UTC`, or `none`."""
    return "none" if ns is None else f"{str(np.datetime64(ns, 'ns'))[:19].replace('T', ' ')} UTC"


def png(picture: bytes, alt: str) -> dg.MarkdownMetadataValue:
    """Return a picture that the page shows in place."""
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(picture).decode()})")


def session_metadata(row: SessionRow) -> dict[str, RawMetadataValue]:
    """Return the facts of one stored session."""
    return {
        "dagster/row_count": row.rows,
        "dagster/partition_row_count": row.rows,
        "coverage": str(row.coverage),
        "first_bar_opens": utc_text(row.first_open_ns),
        "last_bar_closes": utc_text(row.last_close_ns),
        "regular_hours": f"{row.regular:,} of {row.expected:,} bars, longest stretch without one {row.longest_absence_s / 60:g} min",
        "source": f"{row.source}: {row.asked}",
        "fingerprint": row.fingerprint,
    }


def picture_of_closes(catalog: Catalog, series: Series, session: dt.date, precision: Precision) -> dg.MarkdownMetadataValue:
    """Return a small chart of one session's closes, of a series whose decimals the ledger need not know yet."""
    from market_data_pipeline.charts.bars import bars_png

    zone = calendar_of_venue(series.venue).time_zone
    return png(bars_png(series, catalog.read_session(series, session, precision), zone), f"closes of {session}")


def availability_table(rows: Mapping[str, Availability | None]) -> dg.TableMetadataValue:
    """Return the availability of series as a table; None stands for nothing stored.

    `missing_inside` counts between the first and the last stored session; what lies before and after them is in the gaps.
    """
    columns = ["bar_spec", "first_session", "last_session", "complete", "empty", "partial", "missing_inside", "bars", "bytes", "last_update"]
    records = []
    for spec, found in rows.items():
        facts: list[str | int] = ["none", "none", 0, 0, 0, 0, 0, 0, "never"]
        if found is not None:
            facts = [
                str(found.first_session),
                str(found.last_session),
                found.complete,
                found.empty,
                found.partial,
                found.missing,
                found.rows,
                found.bytes,
                utc_text(found.updated_at_ns),
            ]
        records.append(dg.TableRecord(dict(zip(columns, [spec, *facts], strict=True))))
    numbers = {"complete", "empty", "partial", "missing_inside", "bars", "bytes"}
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(name, "int" if name in numbers else "string") for name in columns]))
