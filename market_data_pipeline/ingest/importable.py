"""What bars can be imported from: CSV files, a table of a database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Provenance, SessionAnswer
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.domain.source import Precision

if TYPE_CHECKING:
    from market_data_pipeline.sources.csv import Verdict


class OpenedBars(Protocol):
    """Bars of one series that have all been read and checked, and wait to be stored session by session."""

    @property
    def rows(self) -> int:
        """Good rows."""
        ...

    @property
    def rows_bad(self) -> int:
        """Rows that break a rule and were left out."""
        ...

    @property
    def sessions(self) -> list[dt.date]:
        """Sessions that have bars, oldest first."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What a user should know though no row is bad."""
        ...

    @property
    def rejects_file(self) -> Path | None:
        """Where bad rows are listed."""
        ...

    def answers(self, dates: Collection[dt.date] | None = None) -> Iterator[SessionAnswer]:
        """Yield each session that has bars (of those in `dates`, if given), oldest first."""
        ...


class Importable(Protocol):
    """What holds the bars of one series: CSV files, a table of a database."""

    @property
    def provenance(self) -> Provenance:
        """What the ledger keeps about where the bars come from."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """What was read, by name."""
        ...

    @property
    def noun(self) -> str:
        """What a person calls it: `file`, `table`."""
        ...

    def open(self, series: Series, partitions: Partitions, precision: Precision) -> OpenedBars:
        """Read and check every row once."""
        ...

    def verdict(self, series: Series, partitions: Partitions) -> Verdict | None:
        """Return what files were taken for, and why; None where nothing had to be told apart."""
        ...
