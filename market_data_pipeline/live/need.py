"""How many bars a strategy needs before it may trade, and what a warm-up may do to bring them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import UsageError

# No indicator looks back further, and a float holds it.
_LONGEST = 10_000_000


class WarmUpSource(StrEnum):
    """Where history may come from."""

    CATALOG = "catalog"  # the Parquet catalog, without asking anybody
    IBKR = "ibkr"  # what the catalog lacks, asked of a gateway under the same pacing as everything else


@dataclass(frozen=True)
class Need:
    """Bars of one series that indicators need.

    Attributes:
        series: The series.
        bars: The longest period of its indicators, in bars; 1 to 10,000,000.
    """

    series: Series
    bars: int

    def __post_init__(self) -> None:
        if self.bars < 1:
            raise UsageError(f"{self.series}: a warm-up of {self.bars} bars warms nothing. Give the longest period of the indicators, at least 1.")
        if self.bars > _LONGEST:
            raise UsageError(f"{self.series}: no indicator needs more than {_LONGEST:,} bars. Give the longest period of the indicators.")

    @property
    def load_command(self) -> str:
        """The command that brings it into the catalog."""
        return f"mdp warmup {self.series.instrument_id} {self.series.spec} --bars {self.bars} --load"

    def wanted(self, buffer: float) -> int:
        """Return how many bars to bring: what is needed times `buffer`, rounded up. The bars more let averages without an end settle."""
        return math.ceil(self.bars * buffer - 1e-9)


def merged(needs: Iterable[Need]) -> tuple[Need, ...]:
    """Return one need a series, the largest, in the order in which series were first named: several strategies share a series."""
    largest: dict[Series, Need] = {}
    for need in needs:
        known = largest.get(need.series)
        largest[need.series] = need if known is None or need.bars > known.bars else known
    return tuple(largest.values())


class WarmUpSettings(BaseModel):
    """What a warm-up may do.

    Attributes:
        enabled: False leaves everything to Nautilus: strategies warm up naturally.
        buffer: Bars brought for each that is needed.
        lookback_sessions: Sessions to go back at most; a thinly traded series could reach back for years.
        sources: Where history may come from.
        store: Whether what IBKR answers is stored in the catalog.
        time_limit_s: Seconds after which trading goes on without history; live bars are held so long.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: Annotated[bool, Strict()] = True
    buffer: Annotated[float, Field(ge=1, le=10)] = 1.2
    lookback_sessions: Annotated[int, Strict(), Field(ge=1, le=5_000)] = 400
    sources: tuple[WarmUpSource, ...] = Field(default=(WarmUpSource.CATALOG, WarmUpSource.IBKR), min_length=1)
    store: Annotated[bool, Strict()] = True
    time_limit_s: Annotated[float, Field(gt=0, le=86_400)] = 300.0

    def may_ask(self, source: WarmUpSource) -> bool:
        """Return whether history may come from there."""
        return source in self.sources
