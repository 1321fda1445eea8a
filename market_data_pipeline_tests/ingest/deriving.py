"""Derive a series and return its report."""

from __future__ import annotations

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.ingest.derive import DeriveOrder, derive
from market_data_pipeline.ingest.load import LoadReport


def derived(catalog: Catalog, order: DeriveOrder, now_ns: int | None = None) -> LoadReport:
    """Derive one series to its end; raise what stopped it."""
    work = derive(catalog, [order], now_ns=now_ns)
    while True:
        try:
            next(work)
        except StopIteration as done:
            (outcome,) = done.value
            if outcome.error is not None:
                raise outcome.error from None
            report: LoadReport = outcome.report
            return report
