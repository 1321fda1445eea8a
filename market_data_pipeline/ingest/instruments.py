"""Bring instrument definitions into the catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define
from market_data_pipeline.domain.errors import CorruptFile, InstrumentNotFound, MarketDataError, PrecisionMismatch, SourceUnavailable
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.import_csv import Run

if TYPE_CHECKING:
    from nautilus_trader.model.instruments import Instrument

    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.catalog.instruments import InstrumentChange
    from market_data_pipeline.sources.ibkr import IbkrGateway

_BROKER = "ibkr"


def store_definition(catalog: Catalog, instrument_id: str, definitions: InstrumentDefinitions | None) -> InstrumentChange:
    """Store what the definitions file, or the ISO codes of a pair, say of an instrument.

    Raises:
        InstrumentNotFound: If neither knows it.
    """
    return catalog.instruments.put(define(instrument_id, definitions), source="yaml" if definitions and definitions.find(instrument_id) else "iso")


def stored_or_defined(catalog: Catalog, instrument_id: str, definitions: Callable[[], InstrumentDefinitions | None]) -> Precision:
    """Return the decimals of an instrument, storing its definition first where none is stored: no bar comes before its instrument.

    Args:
        catalog: Where it is stored.
        instrument_id: The instrument.
        definitions: Reads the definitions file; only called where none is stored, because checking a file imports Nautilus (0.6 s).

    Raises:
        InstrumentNotFound: If none is stored and none is known.
    """
    if catalog.instruments.definition(instrument_id) is None:
        store_definition(catalog, instrument_id, definitions())
    return catalog.instruments.precision(instrument_id)


@dataclass(frozen=True)
class Defined:
    """An instrument that is defined.

    Attributes:
        precision: Its decimals.
        kind: Its class in Nautilus: `Equity`, `CurrencyPair`, `FuturesContract` …
        change: What storing its definition did; None where the stored one holds, or nothing was to be stored.
    """

    precision: Precision
    kind: str
    change: InstrumentChange | None = None


def stored_or_fetched(catalog: Catalog, gateway: IbkrGateway, instrument_id: str, run: Run = Run.STORE) -> Defined:
    """Return what is needed of an instrument; the stored definition wins, else the broker is asked, and its definition stored.

    Args:
        catalog: Where it is stored.
        gateway: Only asked where none is stored.
        instrument_id: The instrument.
        run: A dry run stores nothing.

    Raises:
        ContractUnknown: If the broker does not know it.
        PrecisionMismatch: If bars are stored with other decimals than the broker's definition has.
        SourceError: If the broker cannot answer.
    """
    stored = _stored(catalog, instrument_id)
    if stored is not None:
        return stored
    instrument = fetch_instrument(gateway, instrument_id)
    precision = Precision(instrument.price_precision, instrument.size_precision)
    require_stored_decimals(catalog, instrument_id, precision, "the definition that Interactive Brokers gives")
    change = catalog.instruments.put(instrument, _BROKER) if run is Run.STORE else None
    return Defined(precision, type(instrument).__name__, change)


def _stored(catalog: Catalog, instrument_id: str) -> Defined | None:
    definition = catalog.instruments.definition(instrument_id)
    return None if definition is None else Defined(catalog.instruments.precision(instrument_id), str(definition["class"]))


def fetch_instrument(gateway: IbkrGateway, instrument_id: str) -> Instrument:
    """Return an instrument as the broker defines it now, through Nautilus' own parser.

    Raises:
        ContractUnknown: If the broker does not know it.
        SourceError: If the broker cannot answer.
    """
    from market_data_pipeline.sources.ibkr import instrument_of, resolve

    return instrument_of(resolve(gateway, instrument_id), instrument_id)


def require_stored_decimals(catalog: Catalog, instrument_id: str, precision: Precision, definition: str) -> None:
    """Refuse a definition on which a backtest over the stored bars would stop at the first bar (FACTS 8).

    Args:
        catalog: Where the bars are.
        instrument_id: The instrument.
        precision: Its decimals by the definition.
        definition: Which definition that is, for the message.

    Raises:
        PrecisionMismatch: If bars of the instrument are stored with other decimals.
    """
    for series in catalog.series():
        stored = catalog.precision(series) if series.instrument_id == instrument_id else None
        if stored is not None and stored != precision:
            raise PrecisionMismatch(
                f"{series} is stored with {stored.price} price and {stored.size} size decimals; {definition} has "
                f"{precision.price} and {precision.size}. Give it the stored decimals, or use another catalog with --catalog PATH."
            )


def refresh_instrument(catalog: Catalog, gateway: IbkrGateway, instrument_id: str) -> InstrumentChange:
    """Fetch one definition anew and store it; the versions before it are kept.

    Raises:
        ContractUnknown: If the broker does not know it.
        PrecisionMismatch: If bars are stored with other decimals.
        SourceError: If the broker cannot answer.
    """
    instrument = fetch_instrument(gateway, instrument_id)
    precision = Precision(instrument.price_precision, instrument.size_precision)
    require_stored_decimals(catalog, instrument_id, precision, "the definition that Interactive Brokers gives now")
    return catalog.instruments.put(instrument, _BROKER)


@dataclass(frozen=True)
class Refreshed:
    """What became of a definition that was fetched: a change, or an error."""

    instrument_id: str
    change: InstrumentChange | None = None
    error: MarketDataError | None = None


def refresh_instruments(catalog: Catalog, gateway: IbkrGateway, ids: Iterable[str]) -> Iterator[Refreshed]:
    """Fetch definitions anew and store them, telling each; versions are kept where one changed. One that fails does not stop the others.

    Raises:
        SourceUnavailable: If the gateway does not answer.
    """
    for instrument_id in ids:
        try:
            yield Refreshed(instrument_id, refresh_instrument(catalog, gateway, instrument_id))
        except SourceUnavailable:
            raise
        except MarketDataError as error:
            yield Refreshed(instrument_id, error=error)


def instruments_without_definition(catalog: Catalog) -> list[str]:
    """Return the ids of stored series that have no definition which can be read, sorted."""
    return sorted({series.instrument_id for series in catalog.series() if not _is_defined(catalog, series.instrument_id)})


def _is_defined(catalog: Catalog, instrument_id: str) -> bool:
    try:
        return catalog.instruments.definition(instrument_id) is not None
    except (CorruptFile, InstrumentNotFound):
        return False
