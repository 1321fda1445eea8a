"""Bring instrument definitions into the catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define
from market_data_pipeline.domain.source import Precision

if TYPE_CHECKING:
    from market_data_pipeline.catalog import Catalog
    from market_data_pipeline.catalog.instruments import InstrumentChange


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
