"""Nautilus' Parquet files of instrument definitions, read with Arrow alone where that is enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from market_data_pipeline.catalog.layout import SUFFIX, TEMPORARY_PREFIX, file_name
from market_data_pipeline.domain.errors import CorruptFile
from market_data_pipeline.domain.source import Precision

if TYPE_CHECKING:
    from nautilus_trader.model.instruments import Instrument

# Nautilus' folder of each instrument class; a test holds this against the classes that Nautilus can store.
FOLDERS = {
    "BettingInstrument": "betting_instrument",
    "BinaryOption": "binary_option",
    "Cfd": "cfd",
    "Commodity": "commodity",
    "CryptoFuture": "crypto_future",
    "CryptoFuturesSpread": "crypto_futures_spread",
    "CryptoOption": "crypto_option",
    "CryptoOptionSpread": "crypto_option_spread",
    "CryptoPerpetual": "crypto_perpetual",
    "CurrencyPair": "currency_pair",
    "Equity": "equity",
    "FuturesContract": "futures_contract",
    "FuturesSpread": "futures_spread",
    "IndexInstrument": "index_instrument",
    "OptionContract": "option_contract",
    "OptionSpread": "option_spread",
    "PerpetualContract": "perpetual_contract",
    "TokenizedAsset": "tokenized_asset",
}
# Stamped 1970: the name never changes, so replacing a definition is one rename.
CURRENT = file_name(0, 0)
# Not part of a definition: when it was seen, and what a broker tells beside it (trading hours change every day).
_NOT_DEFINING = ("ts_event", "ts_init", "info")

type Scalar = str | int | float | bool | None
type Definition = dict[str, Scalar]


def files_in(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder, sorted; none if there is no folder."""
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX) and not path.name.startswith(TEMPORARY_PREFIX))
    except (FileNotFoundError, NotADirectoryError):
        return []


def id_in(path: Path) -> str | None:
    """Return the instrument id that a file holds, or None if it cannot be read."""
    try:
        found = pq.ParquetFile(path, memory_map=False).read(columns=["id"]).column("id").to_pylist()
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return None
    return str(found[-1]) if found else None


def row_in(path: Path) -> Definition:
    """Return the definition in a file: its columns, and `class`.

    Raises:
        CorruptFile: If it is no readable definition.
    """
    return _checked_row(_table_in(path), path)


def precision_in(path: Path) -> Precision:
    """Return the decimals that a file's definition has.

    Raises:
        CorruptFile: If it is no readable definition.
    """
    row = row_in(path)
    # An equity has no size_precision column: Nautilus gives it whole units.
    price, size = row.get("price_precision"), row.get("size_precision", 0)
    if not isinstance(price, int) or not isinstance(size, int):
        raise _corrupt(path, f"its price and size precision are {price!r} and {size!r}")
    return Precision(price, size)


def instrument_in(path: Path) -> Instrument:
    """Return the definition in a file as a Nautilus instrument.

    Raises:
        CorruptFile: If it is no readable definition, or Nautilus refuses its values.
    """
    from nautilus_trader.model import instruments
    from nautilus_trader.serialization.arrow.serializer import ArrowSerializer

    table = _table_in(path)
    row = _checked_row(table, path)
    try:
        found: list[Instrument] = ArrowSerializer.deserialize(getattr(instruments, str(row["class"])), table)
    except (ValueError, TypeError, KeyError, RuntimeError, OverflowError, ArithmeticError) as error:
        raise _corrupt(path, f"Nautilus cannot make an instrument of it ({type(error).__name__}: {error})") from None
    return found[-1]


def table_of(instrument: Instrument) -> pa.Table:
    """Return a definition in Nautilus' schema, stamped 1970."""
    from nautilus_trader.serialization.arrow.serializer import ArrowSerializer

    kind = type(instrument)
    timeless = kind.from_dict({**kind.to_dict(instrument), "ts_event": 0, "ts_init": 0})
    batch = ArrowSerializer.serialize_batch([timeless], data_cls=kind)
    return batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])


def to_parquet(table: pa.Table) -> pa.Buffer:
    """Return the file's bytes, with a checksum for each page."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, write_page_checksum=True)
    return sink.getvalue()


def row_of(table: pa.Table) -> Definition:
    """Return a table's last row, and `class`."""
    row: Definition = table.slice(table.num_rows - 1).to_pylist()[0]
    return {**row, "class": _class_in(table)}


def defining(row: Definition) -> Definition:
    """Return what of a row makes the definition."""
    return {name: value for name, value in row.items() if name not in _NOT_DEFINING}


def _table_in(path: Path) -> pa.Table:
    try:
        # Checked by Arrow before Nautilus sees it.
        return pq.ParquetFile(path, memory_map=False, page_checksum_verification=True).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _corrupt(path, f"not a readable Parquet file ({[*str(error).splitlines(), type(error).__name__][0]})") from None


def _checked_row(table: pa.Table, path: Path) -> Definition:
    if not table.num_rows or "id" not in table.column_names or _class_in(table) is None:
        raise _corrupt(path, f"no instrument definition: {table.num_rows} rows, columns {', '.join(table.column_names)}")
    return row_of(table)


def _class_in(table: pa.Table) -> str | None:
    metadata = table.schema.metadata or {}
    name = str((metadata.get(b"class") or metadata.get(b"type") or b"").decode())
    return name if name in FOLDERS else None


def _corrupt(path: Path, reason: str) -> CorruptFile:
    return CorruptFile(f"{path}: {reason}. Remove it and import again (mdp import-csv), which stores the definition anew.")
