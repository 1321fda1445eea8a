"""Instrument definitions as commands list and store them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.errors import CorruptFile, MarketDataError, UsageError
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.definitions import Definitions, require_same_decimals, source_name
from market_data_pipeline.ingest.instruments import Refreshed

if TYPE_CHECKING:
    from market_data_pipeline.catalog.instrument_files import Definition
    from market_data_pipeline.catalog.instruments import InstrumentChange


@dataclass(frozen=True)
class StoredInstrument:
    """A definition of the catalog; `problem` says why its file cannot be used, where it cannot."""

    instrument_id: str
    definition: Definition
    problem: str | None = None


def stored_instruments(catalog: Catalog) -> list[StoredInstrument]:
    """Return all definitions of the catalog, sorted by id; a broken file does not hide the others."""
    store, found = catalog.instruments, []
    for instrument_id in store.ids():
        try:
            found.append(StoredInstrument(instrument_id, store.definition(instrument_id) or {}))
        except CorruptFile as error:
            found.append(StoredInstrument(instrument_id, {}, str(error)))
    return found


def define_instruments(catalog: Catalog, definitions: Definitions, ids: list[str]) -> list[InstrumentChange]:
    """Store the definitions of these ids, or of all in the file if none is named; nothing is stored unless all can be.

    Raises:
        UsageError: If no id is named and there is no file.
        InstrumentNotFound: If an id is not defined.
        PrecisionMismatch: If a definition and stored bars have different decimals.
    """
    wanted = list(dict.fromkeys(ids or definitions.ids))
    if not wanted:
        raise UsageError("Nothing to define. Name instruments (mdp instruments define EUR/USD.IDEALPRO), or a file with --instruments YAML.")
    instruments = [definitions.instrument(one) for one in wanted]
    for one in instruments:
        require_same_decimals(catalog, one.id.value, Precision(one.price_precision, one.size_precision), definitions.file)
    return [catalog.instruments.put(one, source_name(definitions, one.id.value)) for one in instruments]


def define_each(catalog: Catalog, definitions: Definitions, ids: list[str]) -> list[Refreshed]:
    """Store the definitions of these ids; one that the file does not have, or that stored bars contradict, does not stop the others."""
    done = []
    for one in ids:
        try:
            done += [Refreshed(one, change) for change in define_instruments(catalog, definitions, [one])]
        except MarketDataError as error:
            done.append(Refreshed(one, error=error))
    return done
