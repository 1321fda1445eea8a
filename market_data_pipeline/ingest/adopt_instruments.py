"""Instrument definitions of a foreign catalog: which are taken over, which cannot be true, and which are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.instrument_files import defining, instrument_in, row_in
from market_data_pipeline.domain.errors import CatalogError, DiskFull, MarketDataError, StorageFailed
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.adopt_report import InstrumentReport, Kept, SeriesReport
from market_data_pipeline.sources.nautilus import ForeignCatalog, FoundInstrument, find_instruments


@dataclass(frozen=True)
class InstrumentPlan:
    """The definitions of a foreign catalog beside those of ours.

    Attributes:
        catalog: Ours.
        found: What the foreign one has, one an id.
        stored: Decimals of the definitions that ours had before.
        refused_by_us: Ids that our catalog would not take, with the reason. Filled while definitions are stored.
    """

    catalog: Catalog
    found: tuple[FoundInstrument, ...]
    stored: dict[str, Precision]
    refused_by_us: dict[str, str]

    def precision_of(self, instrument_id: str) -> Precision | None:
        """Return the decimals that bars of an instrument should have: of our definition, else of the one that is taken over."""
        if instrument_id in self.stored:
            return self.stored[instrument_id]
        return next((one.precision for one in self.found if one.instrument_id == instrument_id and one.refused is None), None)

    def store(self, series: Sequence[SeriesReport]) -> None:
        """Store the definitions that are taken over, before the first bar."""
        for one in self.found:
            if self._why_not(one, series) is None and one.instrument_id not in self.stored:
                try:
                    self.catalog.instruments.put(instrument_in(one.path), "adopted")
                except MarketDataError as error:
                    if isinstance(error, DiskFull | StorageFailed):
                        raise
                    self.refused_by_us[one.instrument_id] = str(error)

    def reports(self, series: Sequence[SeriesReport]) -> tuple[InstrumentReport, ...]:
        """Return what became of each instrument, those of bars without a definition included, sorted by id."""
        reports = [self._report(one, series) for one in self.found]
        defined = {one.instrument_id for one in reports if one.what is not Kept.REFUSED} | set(self.stored)
        with_bars = {one.series.instrument_id for one in series if one.series is not None and (one.complete or one.partial)}
        for instrument_id in sorted(with_bars - defined):
            why = "it has bars and no definition, so no backtest can use them: mdp instruments backfill"
            reports.append(InstrumentReport(instrument_id, "", Kept.MISSING, why))
        return tuple(sorted(reports, key=lambda one: (one.instrument_id, one.what)))

    def _report(self, one: FoundInstrument, series: Sequence[SeriesReport]) -> InstrumentReport:
        why_not = self._why_not(one, series)
        if why_not is not None:
            return InstrumentReport(one.instrument_id, one.kind, Kept.REFUSED, why_not, len(one.older))
        if one.instrument_id not in self.stored:
            return InstrumentReport(one.instrument_id, one.kind, Kept.STORED, one.remark, len(one.older))
        same = defining(row_in(one.path)) == self.catalog.instruments.definition(one.instrument_id)
        what, why = (Kept.UNCHANGED, "") if same else (Kept.OTHER_HOLDS, "the catalog defines it otherwise, and keeps that")
        return InstrumentReport(one.instrument_id, one.kind, what, why or one.remark, len(one.older))

    def _why_not(self, one: FoundInstrument, series: Sequence[SeriesReport]) -> str | None:
        if one.refused is not None:
            return one.refused
        for report in series:
            bars = report.precision if report.series is not None and report.series.instrument_id == one.instrument_id else None
            if bars is not None and bars != one.precision and one.instrument_id not in self.stored and (report.complete or report.partial):
                return (
                    f"it has {_decimals(one.precision)} decimals of price and size and its bars need {_decimals(bars)}, "
                    "so a backtest would stop at the first bar"
                )
        return self.refused_by_us.get(one.instrument_id)


def plan_instruments(catalog: Catalog, foreign: ForeignCatalog) -> InstrumentPlan:
    """Look through the definitions of a foreign catalog and ours; stores nothing."""
    stored = {}
    for instrument_id in catalog.instruments.ids():
        try:
            stored[instrument_id] = catalog.instruments.precision(instrument_id)
        except CatalogError:  # a broken file of ours is as good as none
            continue
    return InstrumentPlan(catalog, find_instruments(foreign.instruments), stored, {})


def _decimals(precision: Precision | None) -> str:
    return f"{precision.price} and {precision.size}" if precision is not None else "no"
