"""Definitions that no broker told: a small YAML file, and currency pairs of ISO codes, which need none.

instruments:
  - id: AAPL.NASDAQ
    type: equity
    currency: USD
    price_precision: 2
  - id: ESZ4.CME
    type: future
    currency: USD
    tick_size: 0.25
    multiplier: 50
    expiry: 2024-12-20
  - id: BTC/USDT.BINANCE
    type: crypto
    base: BTC
    quote: USDT
    price_precision: 2
    size_precision: 6
"""

from __future__ import annotations

import datetime as dt
import re
from abc import abstractmethod
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, Strict, model_validator

from market_data_pipeline.configuration import Section, read_yaml
from market_data_pipeline.domain.bar_types import DAY_NS, parse_instrument_id, venue_of
from market_data_pipeline.domain.errors import InstrumentNotFound, InvalidInstrumentId
from market_data_pipeline.domain.sessions import day_number

if TYPE_CHECKING:
    from nautilus_trader.model.instruments import Instrument
    from nautilus_trader.model.objects import Currency, Price, Quantity

_MOST_DECIMALS = 16  # what Nautilus' 16-byte values hold
_ISO_PAIR = re.compile(r"([A-Z]{3})/([A-Z]{3})\.[A-Z0-9_]+")
_FUTURE_MONTH = re.compile(r"[FGHJKMNQUVXZ]\d{1,2}$")
FUTURES_VENUES = frozenset({"CME", "CBOT", "NYMEX", "COMEX", "CFE"})


def _id(text: str) -> str:
    try:
        return parse_instrument_id(text)
    except InvalidInstrumentId as error:
        raise ValueError(str(error)) from None


def _with_offset(time: dt.date) -> dt.date:
    if isinstance(time, dt.datetime) and time.tzinfo is None:
        raise ValueError(f"{time} needs an offset, for example {time.isoformat()}-06:00; or give the date alone")
    return time


Moment = Annotated[dt.date | dt.datetime, AfterValidator(_with_offset)]
InstrumentIdText = Annotated[str, AfterValidator(_id)]
Code = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,12}$")]
Decimals = Annotated[int, Strict(), Field(ge=0, le=_MOST_DECIMALS)]
Positive = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[Decimal, Field(gt=-1, lt=1, allow_inf_nan=False)]


class Definition(Section):
    """What every kind of instrument has. Fees and margins are shares of the traded value: 0.0001 is one basis point."""

    id: InstrumentIdText
    price_precision: Decimals | None = None
    tick_size: Positive | None = None
    maker_fee: Rate = Decimal(0)
    taker_fee: Rate = Decimal(0)
    margin_init: Rate = Decimal(0)
    margin_maint: Rate = Decimal(0)

    @model_validator(mode="after")
    def _has_a_precision(self) -> Definition:
        if self.price_precision is None and self.tick_size is None:
            raise ValueError("needs price_precision (decimals of its prices) or tick_size")
        if self.price_precision is not None and self.tick_size is not None and _decimals(self.tick_size) > self.price_precision:
            raise ValueError(f"tick_size {self.tick_size} has more decimals than price_precision {self.price_precision}")
        return self

    @model_validator(mode="after")
    def _nautilus_accepts_it(self) -> Definition:
        try:
            self.instrument()
        except OverflowError as error:
            raise ValueError(f"Nautilus refuses it: {error}") from None
        return self

    @property
    def decimals(self) -> int:
        """Decimals of prices: as given, else those of the tick size."""
        if self.price_precision is not None:
            return self.price_precision
        assert self.tick_size is not None
        return _decimals(self.tick_size)

    @property
    def symbol(self) -> str:
        """The id without its venue."""
        return self.id.rpartition(".")[0]

    @abstractmethod
    def instrument(self) -> Instrument:
        """Return the Nautilus instrument."""

    def _shared(self) -> dict[str, Any]:
        from nautilus_trader.model.identifiers import InstrumentId, Symbol

        return {
            "instrument_id": InstrumentId.from_str(self.id),
            "raw_symbol": Symbol(self.symbol),
            "price_precision": self.decimals,
            "price_increment": _price(self.tick_size or Decimal(1).scaleb(-self.decimals), self.decimals),
            "maker_fee": self.maker_fee,
            "taker_fee": self.taker_fee,
            "margin_init": self.margin_init,
            "margin_maint": self.margin_maint,
            "ts_event": 0,
            "ts_init": 0,
        }


class EquityDefinition(Definition):
    """A share or a fund. Sizes are whole."""

    type: Literal["equity"]
    currency: Code
    lot_size: Positive = Decimal(100)  # as Nautilus' Interactive Brokers adapter has it
    isin: Annotated[str, Field(pattern=r"^[A-Z]{2}[A-Z0-9]{9}[0-9]$")] | None = None

    def instrument(self) -> Instrument:
        """Return the Nautilus instrument."""
        from nautilus_trader.model.instruments import Equity

        return Equity(**self._shared(), currency=_fiat(self.currency), lot_size=_quantity(self.lot_size, 0), isin=self.isin)


class PairDefinition(Definition):
    """A currency pair or a crypto pair, spot. Nautilus has one class for both."""

    type: Literal["currency_pair", "crypto"]
    base: Code
    quote: Code
    size_precision: Decimals
    lot_size: Positive | None = None
    raw_symbol: str | None = None

    def instrument(self) -> Instrument:
        """Return the Nautilus instrument."""
        from nautilus_trader.model.identifiers import Symbol
        from nautilus_trader.model.instruments import CurrencyPair
        from nautilus_trader.model.objects import Currency

        # Nautilus makes a new crypto currency of a code that it does not know; a misspelt national one would pass as that.
        currency = _fiat if self.type == "currency_pair" else Currency.from_str
        shared = self._shared()
        return CurrencyPair(
            **shared | {"raw_symbol": Symbol(self.raw_symbol or self.symbol)},
            base_currency=currency(self.base),
            quote_currency=currency(self.quote),
            size_precision=self.size_precision,
            size_increment=_quantity(Decimal(1).scaleb(-self.size_precision), self.size_precision),
            lot_size=None if self.lot_size is None else _quantity(self.lot_size, self.size_precision),
        )


class FutureDefinition(Definition):
    """A futures contract.

    `expiry` and `activation` are dates, or times with an offset. A date as expiry means its end (UTC), so that the last day's
    bars are traded. Without `activation` the contract counts as always listed: the engine refuses orders before it.
    """

    type: Literal["future"]
    currency: Code
    multiplier: Positive
    expiry: Moment
    activation: Moment | None = None
    lot_size: Positive = Decimal(1)
    underlying: str | None = None
    asset_class: Literal["FX", "EQUITY", "COMMODITY", "DEBT", "INDEX", "CRYPTOCURRENCY"] = "INDEX"

    def instrument(self) -> Instrument:
        """Return the Nautilus instrument."""
        from nautilus_trader.model.enums import asset_class_from_str
        from nautilus_trader.model.instruments import FuturesContract

        return FuturesContract(
            **self._shared(),
            asset_class=asset_class_from_str(self.asset_class),
            currency=_fiat(self.currency),
            multiplier=_quantity(self.multiplier, _decimals(self.multiplier)),
            lot_size=_quantity(self.lot_size, 0),
            underlying=self.underlying or _FUTURE_MONTH.sub("", self.symbol) or self.symbol,
            activation_ns=0 if self.activation is None else _nanoseconds(self.activation, end_of_day=False),
            expiration_ns=_nanoseconds(self.expiry, end_of_day=True),
        )


class InstrumentDefinitions(Section):
    """The content of `instruments.yaml`: definitions by id."""

    instruments: list[Annotated[EquityDefinition | PairDefinition | FutureDefinition, Field(discriminator="type")]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _each_id_once(self) -> InstrumentDefinitions:
        twice = [id_ for id_, times in Counter(one.id for one in self.instruments).items() if times > 1]
        if twice:
            raise ValueError(f"defined more than once: {', '.join(twice)}")
        return self

    @classmethod
    def read(cls, path: Path) -> InstrumentDefinitions:
        """Read a YAML file.

        Raises:
            ConfigurationError: With file, line and key of every mistake.
        """
        return read_yaml(path, cls)

    def find(self, instrument_id: str) -> Definition | None:
        """Return the definition of an id, or None."""
        return next((one for one in self.instruments if one.id == instrument_id), None)


def define(instrument_id: str, definitions: InstrumentDefinitions | None = None) -> Instrument:
    """Return the instrument that an id means: as defined, else a currency pair of ISO codes.

    Raises:
        InstrumentNotFound: If it is neither; the message holds the YAML to add.
        InvalidInstrumentId: If it is no id.
    """
    parse_instrument_id(instrument_id)
    found = definitions.find(instrument_id) if definitions is not None else None
    if found is not None:
        return found.instrument()
    pair = iso_pair(instrument_id)
    if pair is None:
        raise not_defined(instrument_id, "in instruments.yaml")
    return pair.instrument()


def iso_pair(instrument_id: str) -> PairDefinition | None:
    """Return the definition of a pair of ISO currencies, or None if the id is no such pair.

    Decimals as Nautilus' Interactive Brokers adapter makes them from IBKR's contract details: prices 5, quoted in yen 3; sizes 2.
    On IDEALPRO the tick is half a pip (0.00005, in yen 0.005), elsewhere one unit of the last decimal.
    """
    match = _ISO_PAIR.fullmatch(instrument_id)
    if match is None or not all(_is_national(code) for code in match.groups()):
        return None
    base, quote = match.groups()
    decimals = 3 if quote == "JPY" else 5
    ideal = venue_of(instrument_id) == "IDEALPRO"
    return PairDefinition(
        type="currency_pair",
        id=instrument_id,
        base=base,
        quote=quote,
        price_precision=decimals,
        tick_size=Decimal(5 if ideal else 1).scaleb(-decimals),
        size_precision=2,
        raw_symbol=f"{base}.{quote}" if ideal else None,
    )


def not_defined(instrument_id: str, where: str) -> InstrumentNotFound:
    """Return the error for an id without a definition, with what to add to `instruments.yaml`."""
    return InstrumentNotFound(
        f"There is no definition of {instrument_id} {where}. Add it to instruments.yaml and import again "
        f"(mdp import-csv FILE --instrument {instrument_id} --bar SPEC); for example, with its true values:\n\n{yaml_example(instrument_id)}"
    )


def yaml_example(instrument_id: str) -> str:
    """Return what to add to `instruments.yaml` for an id: the likeliest kind, ready to be corrected."""
    symbol, venue = instrument_id.rpartition(".")[0], venue_of(instrument_id)
    base, slash, quote = symbol.partition("/")
    if slash:
        lines = ["type: crypto", f'base: "{base}"', f'quote: "{quote}"', "price_precision: 2", "size_precision: 6"]
    elif venue in FUTURES_VENUES:
        lines = ["type: future", 'currency: "USD"', "tick_size: 0.25", "multiplier: 50", "expiry: 2026-12-18"]
    else:
        lines = ["type: equity", 'currency: "USD"', "price_precision: 2"]
    return "\n".join(["instruments:", f'  - id: "{instrument_id}"', *(f"    {line}" for line in lines)])


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _price(number: Decimal, decimals: int) -> Price:
    from nautilus_trader.model.objects import Price

    return Price.from_str(f"{number:.{decimals}f}")


def _quantity(number: Decimal, decimals: int) -> Quantity:
    from nautilus_trader.model.objects import Quantity

    if _decimals(number.normalize()) > decimals:
        raise ValueError(f"{number} has more than {decimals} decimals")
    return Quantity.from_str(f"{number:.{decimals}f}")


def _fiat(code: str) -> Currency:
    from nautilus_trader.model.objects import Currency

    currency = Currency.from_internal_map(code)
    if currency is None:
        raise ValueError(f"{code} is no currency that Nautilus knows")
    return currency


def _is_national(code: str) -> bool:
    from nautilus_trader.model.enums import CurrencyType
    from nautilus_trader.model.objects import Currency

    currency = Currency.from_internal_map(code)
    return currency is not None and currency.currency_type == CurrencyType.FIAT


def _nanoseconds(time: dt.date, *, end_of_day: bool) -> int:
    if isinstance(time, dt.datetime):
        since = time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
    start = day_number(time) * DAY_NS
    return start + DAY_NS - 1 if end_of_day else start
