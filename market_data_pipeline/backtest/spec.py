"""What a backtest is: a YAML file or command-line options, validated before anything is read.

    name: sma-apple
    strategy:
      path: market_data_pipeline.backtest.strategies.sma_cross:SmaCross
      config: {fast_period: 40, slow_period: 260, trade_size: 100}
    series: [AAPL.NASDAQ-1-MINUTE-LAST]
    start: 2024-01-02
    end: 2024-03-28
    starting_balances: [1000000 USD]

`start` and `end` are session dates, both inclusive. A `grid` of settings of the strategy makes a sweep of it, a backtest for each combination:

    grid: {fast_period: [20, 40, 60], slow_period: [130, 260]}
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict, field_validator, model_validator

from market_data_pipeline.configuration import Section, read_yaml, validated
from market_data_pipeline.domain.bar_types import BarSpec, Series, parse_instrument_id
from market_data_pipeline.domain.errors import UsageError

SMA_CROSS = "market_data_pipeline.backtest.strategies.sma_cross:SmaCross"

# Attributes whose options have shorter names.
_OPTIONS = {"starting_balances": "--balance", "series": "--bar-type", "strategy": "--strategy and --config"}
_MONEY = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?) ([A-Z0-9]{2,12})")


def _money(text: str) -> str:
    match = _MONEY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no amount of money; write for example 1000000 USD")
    return f"{match[1].replace('_', '')} {match[2]}"


def _bar_type(text: str) -> str:
    """Return Nautilus' string; `-EXTERNAL`, which every stored series is, need not be written."""
    try:
        return Series.parse(text if text.endswith("-EXTERNAL") else f"{text}-EXTERNAL").bar_type
    except UsageError as error:
        raise ValueError(str(error)) from None


def _instrument_id(text: str) -> str:
    try:
        return parse_instrument_id(text)
    except UsageError as error:
        raise ValueError(str(error)) from None


def _bar_spec(text: str) -> str:
    try:
        return str(BarSpec.parse(text))
    except UsageError as error:
        raise ValueError(str(error)) from None


def _plain(value: object) -> object:
    """Return a configuration value as JSON has it: exact decimals of the YAML become numbers, dates text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, dt.date) else value


MOST_COMBINATIONS = 1_000

Value = bool | int | float | str


def _values(name: str, values: object) -> list[Value]:
    if not isinstance(values, list) or not values:
        raise ValueError(f"{name} has no values; write for example {name}: [20, 40]")
    plain = [_plain(value) for value in values]
    scalars = [value for value in plain if isinstance(value, bool | int | float | str)]
    if len(scalars) != len(plain):
        raise ValueError(f"each value of {name} is a number, true or false, or text")
    if len({json.dumps(value) for value in scalars}) != len(scalars):
        raise ValueError(f"{name} has a value twice: {', '.join(map(str, scalars))}")
    return scalars


def _grid(grid: object) -> dict[str, list[Value]] | None:
    if grid is None:
        return None
    if not isinstance(grid, Mapping) or not grid:
        raise ValueError("a grid names settings of the strategy, each with its values: {fast_period: [20, 40], slow_period: [130, 260]}")
    found = {str(name): _values(str(name), values) for name, values in grid.items()}
    number = math.prod(map(len, found.values()))
    if number > MOST_COMBINATIONS:
        sizes = " x ".join(str(len(values)) for values in found.values())
        raise ValueError(f"{sizes} values are {number:,} combinations, and a sweep takes {MOST_COMBINATIONS:,} at most; leave out values")
    return found


Money = Annotated[str, AfterValidator(_money)]
Import = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]


class StrategySpec(Section):
    """Which strategy, by its import path `module:Class`, and its configuration.

    The configuration class is `ClassConfig` of the same module unless `config_path` names another. Its fields `bar_type` and
    `instrument_id` are filled in, one strategy a series; one that has `bar_types` gets them all and runs once.
    """

    path: Import = SMA_CROSS
    config_path: Import | None = None
    config: Annotated[dict[str, Any], BeforeValidator(_plain)] = Field(default_factory=dict)

    @property
    def config_class(self) -> str:
        """Import path of the configuration class."""
        return self.config_path or f"{self.path}Config"


class FeeSpec(Section):
    """What trading costs, one of: `fixed` money an order; money `per_unit`; `maker` and `taker` shares of the traded value."""

    fixed: Money | None = None
    per_unit: Money | None = None
    maker: Annotated[Decimal, Field(gt=-1, lt=1)] | None = None
    taker: Annotated[Decimal, Field(gt=-1, lt=1)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> FeeSpec:
        if (self.maker is None) != (self.taker is None):
            raise ValueError("maker and taker are given together")
        if sum(one is not None for one in (self.fixed, self.per_unit, self.maker)) != 1:
            raise ValueError("give one of: fixed, per_unit, maker with taker")
        return self


class BacktestSpec(Section):
    """A backtest.

    Attributes:
        name: Becomes part of the result's id.
        strategy: What trades.
        series: Bar types it is fed; `-EXTERNAL` may be left out.
        instruments: With `bars`, another way to name series: every bar spec of every instrument.
        bars: Bar specs for `instruments`.
        start: First session, inclusive.
        end: Last session, inclusive.
        starting_balances: Of each venue's account: every venue of the series has one of its own.
        account_type: `CASH` refuses to sell short.
        base_currency: Currency the account is kept in; by default that of the only balance. Null keeps each currency apart.
        oms_type: `HEDGING` keeps several positions in one instrument.
        leverage: Of margin accounts.
        fees: Instead of those of the instruments.
        fetch: True asks Interactive Brokers for missing sessions first, where a gateway answers.
        allow_gaps: True runs although sessions are missing; the passport then says which.
        seed: Of Python's and numpy's random numbers and of the fill model.
        grid: Settings of the strategy, each with the values that a sweep tries; all combinations are run.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,59}$")]
    strategy: StrategySpec = Field(default_factory=StrategySpec)
    series: list[Annotated[str, AfterValidator(_bar_type)]] = Field(default_factory=list)
    instruments: list[Annotated[str, AfterValidator(_instrument_id)]] = Field(default_factory=list)
    bars: list[Annotated[str, AfterValidator(_bar_spec)]] = Field(default_factory=list)
    start: dt.date
    end: dt.date
    starting_balances: list[Money] = Field(default=["1000000 USD"], min_length=1)
    account_type: Literal["MARGIN", "CASH"] = "MARGIN"
    base_currency: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,12}$")] | None = None
    oms_type: Literal["NETTING", "HEDGING"] = "NETTING"
    leverage: Annotated[Decimal, Field(gt=0)] = Decimal(1)
    fees: FeeSpec | None = None
    fetch: Annotated[bool, Strict()] = False
    allow_gaps: Annotated[bool, Strict()] = False
    seed: Annotated[int, Strict(), Field(ge=0, lt=2**32)] = 0
    grid: Annotated[dict[str, list[Value]] | None, BeforeValidator(_grid)] = None

    @field_validator("starting_balances")
    @classmethod
    def _one_balance_a_currency(cls, balances: list[str]) -> list[str]:
        codes = [balance.split()[1] for balance in balances]
        if len(set(codes)) != len(codes):
            raise ValueError("one balance a currency")
        return balances

    @model_validator(mode="after")
    def _names_series_and_a_range(self) -> BacktestSpec:
        if self.end < self.start:
            raise ValueError(f"the range runs backwards: {self.start} to {self.end}")
        if bool(self.instruments) != bool(self.bars):
            raise ValueError("instruments and bars are given together")
        if not self.all_series:
            raise ValueError("names no series; give series, or instruments with bars")
        if self.account_currency is not None and self.account_currency not in self.currencies:
            raise ValueError(f"base_currency {self.account_currency} is in none of the starting_balances {', '.join(self.starting_balances)}")
        if self.account_currency is not None and len(self.currencies) > 1:
            raise ValueError("an account with a base_currency has one starting balance")
        if twice := sorted(set(self.grid or {}) & set(self.strategy.config)):
            raise ValueError(f"{', '.join(twice)} stands in strategy.config and in the grid; leave it in one of them")
        return self

    @property
    def combinations(self) -> tuple[dict[str, Value], ...]:
        """Every combination of the grid's values, the last setting changing fastest; a single empty one without a grid."""
        grid = self.grid or {}
        return tuple(dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values()))

    def with_settings(self, values: Mapping[str, Value]) -> BacktestSpec:
        """Return the backtest of one combination of the grid."""
        given = self.model_dump(exclude_unset=True, exclude={"grid"})
        strategy = self.strategy.model_copy(update={"config": {**self.strategy.config, **values}})
        return BacktestSpec.model_validate({**given, "strategy": strategy.model_dump(exclude_unset=False)})

    @property
    def all_series(self) -> tuple[Series, ...]:
        """The series, each once, in the order given."""
        named = [Series.parse(bar_type) for bar_type in self.series]
        named += [Series.of(instrument_id, spec) for instrument_id in self.instruments for spec in self.bars]
        return tuple(dict.fromkeys(named))

    @property
    def instrument_ids(self) -> tuple[str, ...]:
        """The instruments of the series, each once."""
        return tuple(dict.fromkeys(series.instrument_id for series in self.all_series))

    @property
    def venues(self) -> tuple[str, ...]:
        """The venues of the series, each once."""
        return tuple(dict.fromkeys(series.venue for series in self.all_series))

    @property
    def currencies(self) -> tuple[str, ...]:
        """Currencies of the starting balances."""
        return tuple(balance.split()[1] for balance in self.starting_balances)

    @property
    def account_currency(self) -> str | None:
        """The account's base currency; None where each currency is kept apart."""
        if "base_currency" in self.model_fields_set:
            return self.base_currency
        return self.currencies[0] if len(self.currencies) == 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON has it, defaults included."""
        content = self.model_dump(mode="json") | {"base_currency": self.account_currency}
        if self.grid is None:
            del content["grid"]  # a backtest is the same as before there were grids
        return content

    def fingerprint(self) -> str:
        """Return 32 hex digits that are equal exactly when two specs ask for the same, whatever their names."""
        content = self.to_json()
        # `fetch` says how bars come to be there; what they are is in the fingerprint of the bars.
        for only_words in ("name", "instruments", "bars", "fetch"):
            del content[only_words]
        content["series"] = [series.bar_type for series in self.all_series]
        return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()

    @classmethod
    def read(cls, path: Path) -> BacktestSpec:
        """Read a YAML file.

        Raises:
            ConfigurationError: With file, line and key of every mistake.
        """
        return read_yaml(path, cls)

    @classmethod
    def of(cls, options: Mapping[str, object]) -> BacktestSpec:
        """Build from command-line options: keys are the names of the attributes; None counts as not given.

        Raises:
            ConfigurationError: Naming the option.
        """
        given = {name: value for name, value in options.items() if value is not None}
        return validated(cls, given, lambda loc, _missing: _OPTIONS.get(str(loc[0]), f"--{str(loc[0]).replace('_', '-')}") if loc else "the backtest")
