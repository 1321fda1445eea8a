"""Instrument definitions that are in force: from a YAML file, else from what is stored, else a pair of ISO currencies."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import parse_instrument_id
from market_data_pipeline.domain.errors import InstrumentNotFound
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.instruments import require_stored_decimals

if TYPE_CHECKING:
    from nautilus_trader.model.instruments import Instrument

    from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions

DEFAULT_FILE = Path("instruments.yaml")


@dataclass(frozen=True)
class Definitions:
    """The definitions that are in force, and the file that gives them; None where there is none."""

    file: Path | None
    content: InstrumentDefinitions | None

    @classmethod
    def of(cls, watchlist: Path | None, given: Path | None) -> Definitions:
        """Read the file that was given; else the watchlist's; else `instruments.yaml` of this folder, where there is one.

        Raises:
            ConfigurationError: If a file that is named cannot be read or is wrong.
        """
        if given is None and watchlist is not None:
            from market_data_pipeline.watchlist import read_watchlist

            named = read_watchlist(watchlist)
            if named.definitions is not None:
                return cls(named.definitions_file, named.definitions)
        file = given or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
        if file is None:
            return cls(None, None)
        from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions

        return cls(file, InstrumentDefinitions.read(file))

    @property
    def ids(self) -> list[str]:
        """Ids in the file."""
        return [] if self.content is None else [one.id for one in self.content.instruments]

    def instrument(self, instrument_id: str) -> Instrument:
        """Return the instrument that an id means.

        Raises:
            InvalidInstrumentId: If it is no id.
            InstrumentNotFound: If neither the file nor the ISO currencies tell.
        """
        from market_data_pipeline.catalog.instrument_definitions import define, iso_pair, yaml_example

        parse_instrument_id(instrument_id)
        if instrument_id in self.ids or iso_pair(instrument_id) is not None:
            return define(instrument_id, self.content)
        where = f"in {self.file}" if self.file is not None else "in the catalog, and no file of definitions was given"
        meant = get_close_matches(instrument_id, self.ids, 1, 0.7)
        hint = f" Did you mean {meant[0]}?" if meant else ""
        raise InstrumentNotFound(
            f"There is no definition of {instrument_id} {where}.{hint} Write one, with its true values, into the file of instruments "
            f"that the watchlist names, or into one that you name with --instruments YAML:\n\n"
            f"{yaml_example(instrument_id)}"
        )


def precision_to_use(catalog: Catalog, definitions: Definitions, instrument_id: str) -> tuple[Precision, Instrument | None]:
    """Return an instrument's decimals, and its definition if that is to be stored; None if the stored one holds.

    Raises:
        InstrumentNotFound: If it is neither stored nor defined.
        PrecisionMismatch: If its definition and its stored bars have different decimals.
    """
    store = catalog.instruments
    if instrument_id not in definitions.ids and store.definition(instrument_id) is not None:
        return store.precision(instrument_id), None
    instrument = definitions.instrument(instrument_id)
    precision = Precision(instrument.price_precision, instrument.size_precision)
    require_same_decimals(catalog, instrument_id, precision, definitions.file)
    return precision, instrument


def source_name(definitions: Definitions, instrument_id: str) -> str:
    """Return where a definition comes from, as its version records it."""
    return definitions.file.name if definitions.file is not None and instrument_id in definitions.ids else "ISO currency codes"


def require_same_decimals(catalog: Catalog, instrument_id: str, precision: Precision, file: Path | None) -> None:
    """Refuse a definition that stored bars contradict.

    Raises:
        PrecisionMismatch: If bars of the instrument are stored with other decimals.
    """
    require_stored_decimals(catalog, instrument_id, precision, f"the definition in {file}" if file is not None else "the definition")
