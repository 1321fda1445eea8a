"""The strategies of a live node and the history that each needs. One YAML file, `config/strategies.yaml`.

warm_up: {buffer: 1.2, sources: [catalog, ibkr]}
strategies:
  - name: sma_cross_aapl
    path: market_data_pipeline.live.sma_cross:WarmedSmaCross
    config: {fast_period: 40, slow_period: 260}
    series: ["AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"]
    bars: 260
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, Strict, model_validator
from pydantic_core import PydanticKnownError

from market_data_pipeline.calendars import calendar_name_of_venue
from market_data_pipeline.configuration import Section, read_yaml
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import ConfigurationError, MarketDataError
from market_data_pipeline.live.need import Need, WarmUpSettings, WarmUpSource

_NAME = r"^[a-z][a-z0-9_]{0,40}$"
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def _series(text: object) -> Series:
    if isinstance(text, Series):
        return text
    if not isinstance(text, str):
        raise PydanticKnownError("string_type")
    try:
        series = Series.parse(text)
        calendar_name_of_venue(series.venue)
    except MarketDataError as error:  # pydantic tells it with its line
        raise ValueError(str(error)) from None
    return series


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError(f"{text!r} names no class. Write module:Class, for example market_data_pipeline.live.sma_cross:WarmedSmaCross")
    return text


def _some[T](items: tuple[T, ...]) -> tuple[T, ...]:
    if not items:  # pydantic's own `min_length` counts no item that is wrong, and would be told beside its mistake
        raise ValueError("is empty: name at least one")
    return items


class Strategy(Section):
    """A strategy of the node.

    Attributes:
        name: For messages.
        path: Its class, `module:Class`. Preparing history does not import it.
        config: Its configuration, as the class wants it. Preparing history does not read it.
        series: The bar types that it needs history of.
        bars: The longest period of its indicators, in bars of each.
    """

    name: Annotated[str, Field(pattern=_NAME)]
    path: Annotated[str, AfterValidator(_path)] = "market_data_pipeline.live.sma_cross:WarmedSmaCross"
    config: Mapping[str, Any] = Field(default_factory=dict)
    series: Annotated[tuple[Annotated[Series, BeforeValidator(_series)], ...], AfterValidator(_some)]
    bars: Annotated[int, Strict(), Field(ge=1, le=1_000_000)]

    @property
    def needs(self) -> tuple[Need, ...]:
        """What it needs of each series."""
        return tuple(Need(series, self.bars) for series in self.series)


class StrategiesFile(Section):
    """The file as it is written.

    Attributes:
        warm_up: What a warm-up may do.
        strategies: The strategies.
    """

    warm_up: WarmUpSettings = WarmUpSettings()
    strategies: Annotated[tuple[Strategy, ...], AfterValidator(_some)]

    @model_validator(mode="after")
    def _belongs_together(self) -> StrategiesFile:
        names = [one.name for one in self.strategies]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"strategies names {', '.join(twice)} twice")
        if not self.warm_up.may_ask(WarmUpSource.CATALOG) or not self.warm_up.store:
            raise ValueError("warm_up: what is prepared before the open is kept in the catalog. Name the source catalog, and leave store true")
        return self

    @property
    def calendars(self) -> tuple[str, ...]:
        """The names of the calendars by which the series trade, in the order of the file."""
        return tuple(dict.fromkeys(calendar_of(series) for one in self.strategies for series in one.series))

    def chosen(self, names: Collection[str] = (), calendars: Collection[str] = ()) -> tuple[tuple[Strategy, Need], ...]:
        """Return each strategy with each need, in the order of the file.

        Args:
            names: The only strategies wanted; none is all.
            calendars: The only calendars wanted; none is all.

        Raises:
            ConfigurationError: If the file has no such strategy, or no series of such a calendar.
        """
        for what, asked, known in (("strategy", names, [one.name for one in self.strategies]), ("calendar", calendars, self.calendars)):
            if unknown := sorted(set(asked) - set(known)):
                raise ConfigurationError(f"No {what} {', '.join(unknown)} is in the strategies' file. It has {', '.join(known)}.")
        strategies = (one for one in self.strategies if not names or one.name in names)
        return tuple((one, need) for one in strategies for need in one.needs if not calendars or calendar_of(need.series) in calendars)


def calendar_of(series: Series) -> str:
    """Return the name of the calendar by which a series trades."""
    return calendar_name_of_venue(series.venue)


def read_strategies(path: Path) -> StrategiesFile:
    """Read a file of strategies.

    Raises:
        ConfigurationError: If there is none, or it is wrong; the message names file, line and key.
    """
    if not path.exists():
        raise ConfigurationError(
            f"There is no file {path} that names the strategies to warm up. Write one (docs/live.md), or name it: MDP_STRATEGIES."
        )
    return read_yaml(path, StrategiesFile)
