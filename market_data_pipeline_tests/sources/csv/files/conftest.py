"""`mdp import-csv` on a file, and what Nautilus finds in the catalog afterwards."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from nautilus_trader.model.data import Bar as NautilusBar
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.cli.conftest import (  # noqa: F401 - fixtures are used by being here
    Ended,
    Mdp,
    _a_place_of_its_own,
    launched,
    mdp,
)
from market_data_pipeline_tests.sources.csv.files.case import DEFINITIONS, PRECISION
from market_data_pipeline_tests.sources.csv.files.market import Bar

NAUTILUS_DECIMALS = 16


@dataclass(frozen=True)
class Outcome:
    """What an import did.

    Attributes:
        ended: How the command ended.
        bars: What Nautilus reads from the catalog, by time; none if nothing was stored.
        root: The catalog's folder; there is none if nothing was stored.
    """

    ended: Ended
    bars: tuple[Bar, ...]
    root: Path

    @property
    def refused(self) -> bool:
        """Whether the command failed, with a code that means so."""
        return self.ended.code in (1, 2, 3)

    @property
    def answer(self) -> Any:
        """What `--json` said."""
        return json.loads(self.ended.out)


class Import(Protocol):
    """Imports a file into a catalog of its own."""

    def __call__(self, file: Path | bytes, instrument: str, spec: str, *options: str, name: str = ..., run: Mdp | None = None) -> Outcome: ...


@pytest.fixture
def import_(mdp: Mdp, tmp_path: Path) -> Import:  # noqa: F811 - the fixture imported above
    definitions = tmp_path / "instruments.yaml"
    definitions.write_text(DEFINITIONS)
    counter = itertools.count()

    def act(file: Path | bytes, instrument: str, spec: str, *options: str, name: str = "file.csv", run: Mdp | None = None) -> Outcome:
        place = tmp_path / f"{next(counter)}"
        if isinstance(file, bytes):
            place.mkdir()
            (place / name).write_bytes(file)
            file = place / name
        root = place / "catalog"
        said: Sequence[str | Path] = (file, "--instrument", instrument, "--bar", spec, "--instruments", definitions, "--catalog", root, *options)
        ended = (run or mdp)("import-csv", *said, "--json")
        return Outcome(ended, read_by_nautilus(root, instrument, spec), root)

    return act


def read_by_nautilus(root: Path, instrument: str, spec: str) -> tuple[Bar, ...]:
    """Return the bars of a catalog as Nautilus reads them, opens in seconds since 1970 UTC."""
    if not root.is_dir():
        return ()
    prices, sizes = PRECISION[instrument]
    found = ParquetDataCatalog(str(root)).query(NautilusBar, identifiers=[Series.of(instrument, spec).bar_type])

    def scaled(value: Any, decimals: int) -> int:
        assert value.precision == decimals
        whole, rest = divmod(value.raw, 10 ** (NAUTILUS_DECIMALS - decimals))
        assert rest == 0
        return int(whole)

    return tuple(
        Bar(
            bar.ts_event // 10**9,
            scaled(bar.open, prices),
            scaled(bar.high, prices),
            scaled(bar.low, prices),
            scaled(bar.close, prices),
            scaled(bar.volume, sizes),
        )
        for bar in found
    )
