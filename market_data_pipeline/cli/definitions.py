"""Instrument definitions as commands use them: from a YAML file, else from what is stored, else a pair of ISO currencies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.options import Place
from market_data_pipeline.domain.bar_types import parse_instrument_id
from market_data_pipeline.domain.errors import CorruptFile, InstrumentNotFound, MarketDataError, UsageError
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.instruments import Refreshed, require_stored_decimals

if TYPE_CHECKING:
    from nautilus_trader.model.instruments import Instrument

    from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions
    from market_data_pipeline.catalog.instrument_files import Definition
    from market_data_pipeline.catalog.instruments import InstrumentChange

DEFAULT_FILE = Path("instruments.yaml")


@dataclass(frozen=True)
class Definitions:
    """The definitions that are in force, and the file that gives them (a watchlist that names one counts as it); None where there is none."""

    file: Path | None
    content: InstrumentDefinitions | None

    @classmethod
    def of(cls, place: Place, given: Path | None) -> Definitions:
        """Read the file that was given; else the watchlist's; else `instruments.yaml` of this folder, where there is one.

        Raises:
            ConfigurationError: If a file that is named cannot be read or is wrong.
        """
        if given is None and place.config is not None:
            from market_data_pipeline.watchlist import read_watchlist

            content = read_watchlist(place.config).definitions
            if content is not None:
                return cls(place.config, content)
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
        raise InstrumentNotFound(
            f"There is no definition of {instrument_id} {where}. Write one, with its true values, and name the file with --instruments YAML:\n\n"
            f"{yaml_example(instrument_id)}"
        )


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
    _require_same_decimals(catalog, instrument_id, precision, definitions.file)
    return precision, instrument


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
        _require_same_decimals(catalog, one.id.value, Precision(one.price_precision, one.size_precision), definitions.file)
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


def source_name(definitions: Definitions, instrument_id: str) -> str:
    """Return where a definition comes from, as its version records it."""
    return definitions.file.name if definitions.file is not None and instrument_id in definitions.ids else "ISO currency codes"


def _require_same_decimals(catalog: Catalog, instrument_id: str, precision: Precision, file: Path | None) -> None:
    require_stored_decimals(catalog, instrument_id, precision, f"the definition in {file}" if file is not None else "the definition")
