"""From when on the broker has data of instruments, beside what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from market_data_pipeline.catalog import Availability, Catalog
from market_data_pipeline.cli.progress import Meter
from market_data_pipeline.domain.bar_types import BarSpec, Series, parse_instrument_id
from market_data_pipeline.domain.errors import MarketDataError, SourceUnavailable
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, IbkrSettings, IbkrSource
from market_data_pipeline.sources.ibkr.heads import Head, Heads


@dataclass(frozen=True)
class BrokerRange:
    """What the broker has of a series, and what is stored.

    Attributes:
        series: The series.
        head: From when on the broker has data; None where it could not be asked.
        stored: What is stored; None where nothing is.
        error: Why it could not be asked.
    """

    series: Series
    head: Head | None
    stored: Availability | None
    error: MarketDataError | None = None


def ranges_of(catalog: Catalog, settings: IbkrSettings, ids: Sequence[str], bar: str | None) -> list[BrokerRange]:
    """Return the ranges of all stored series, or of those of some instruments, stored or not.

    Raises:
        UsageError: If an id or the bar spec is none.
        SourceUnavailable: If the gateway does not answer.
    """
    wanted = _wanted(catalog, [parse_instrument_id(one) for one in ids], BarSpec.parse(bar) if bar is not None else None)
    found: list[BrokerRange] = []
    with IbkrGateway(settings) as gateway, Meter() as meter:
        for series, stored in wanted:
            try:
                found.append(BrokerRange(series, _head(catalog, gateway, series), stored))
            except SourceUnavailable:
                raise
            except MarketDataError as error:
                found.append(BrokerRange(series, None, stored, error))
            meter.show("Asking for head time stamps", len(found), len(wanted))
    return found


def _wanted(catalog: Catalog, ids: Sequence[str], spec: BarSpec | None) -> list[tuple[Series, Availability | None]]:
    stored = [one for one in catalog.availabilities() if not ids or one.series.instrument_id in ids]
    wanted: list[tuple[Series, Availability | None]] = [(one.series, one) for one in stored if spec in (None, one.series.spec)]
    known = {series.instrument_id for series, _ in wanted}
    # A pair has no trades.
    wanted += [(Series.of(one, spec or ("1-DAY-MID" if "/" in one else "1-DAY-LAST")), None) for one in ids if one not in known]
    return wanted


def _head(catalog: Catalog, gateway: IbkrGateway, series: Series) -> Head:
    convention = catalog.convention(series)
    source = IbkrSource(gateway, series, hours=None if convention is None else Hours(convention.hours))
    return Heads(gateway.settings).ask(gateway, source.details(), source.what_to_show, source.hours)
