"""Which instrument a symbol of a table is: by a YAML file, or by the venue that all of them have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from market_data_pipeline.catalog.instrument_definitions import iso_pair
from market_data_pipeline.configuration.yaml_file import Section, read_yaml
from market_data_pipeline.domain.bar_types import parse_instrument_id
from market_data_pipeline.domain.errors import ConfigurationError, MarketDataError, QuestionUnanswered

_SHOWN = 40


class SymbolFile(Section):
    """The YAML: `symbols: {AAPL: AAPL.NASDAQ, OLD: null}`; null leaves a symbol out."""

    symbols: dict[str, str | None]


@dataclass(frozen=True)
class SymbolMap:
    """What is known of symbols.

    Attributes:
        ids: Symbol to instrument id; None leaves it out.
        venue: Venue of all others; None where there is none.
        only: The only symbols that are wanted; empty for all.
    """

    ids: dict[str, str | None] = field(default_factory=dict)
    venue: str | None = None
    only: tuple[str, ...] = ()

    @classmethod
    def read(cls, file: Path | None, venue: str | None, only: tuple[str, ...] = ()) -> SymbolMap:
        """Read the file, if there is one.

        Raises:
            ConfigurationError: If it cannot be read, or is wrong.
        """
        return cls({} if file is None else read_yaml(file, SymbolFile).symbols, venue, only)

    def laid_over(self, symbols: Iterable[str]) -> dict[str, str]:
        """Return the instrument id of each symbol that is wanted.

        Raises:
            QuestionUnanswered: If some have none; with the YAML to write.
            ConfigurationError: If `only` names one that is not there, or two symbols are one instrument.
            InvalidInstrumentId: If an id is none.
        """
        there = list(symbols)
        if absent := [symbol for symbol in self.only if symbol not in there]:
            raise ConfigurationError(f"The table has no symbol {', '.join(absent)}. It has {_listed(there)}.")
        wanted = [symbol for symbol in there if not self.only or symbol in self.only]
        found = {symbol: self.ids[symbol] if symbol in self.ids else self._by_venue(symbol) for symbol in wanted}
        unknown = [symbol for symbol, one in found.items() if one is None and symbol not in self.ids]
        if unknown:
            raise QuestionUnanswered(_what_to_write(unknown))
        ids = {symbol: parse_instrument_id(one) for symbol, one in found.items() if one is not None}
        twice = [one for one, count in Counter(ids.values()).items() if count > 1]
        if twice:
            same = ", ".join(symbol for symbol, one in ids.items() if one == twice[0])
            raise ConfigurationError(
                f"{same} are all mapped to {twice[0]}. One instrument has one series: map the others to null, or to ids of their own."
            )
        return ids

    def _by_venue(self, symbol: str) -> str | None:
        if self.venue is None:
            return None
        letters = symbol.replace("/", "").replace(".", "").upper()
        if self.venue == "IDEALPRO" and len(letters) == 6:  # EURUSD and EUR.USD are EUR/USD there
            pair = f"{letters[:3]}/{letters[3:]}.{self.venue}"
            if iso_pair(pair) is not None:
                return pair
        try:
            return parse_instrument_id(f"{symbol}.{self.venue}")
        except MarketDataError:
            return None


def _listed(symbols: list[str]) -> str:
    return ", ".join(symbols[:_SHOWN]) + (f" and {len(symbols) - _SHOWN:,} more" if len(symbols) > _SHOWN else "")


def _what_to_write(unknown: list[str]) -> str:
    lines = [f'  "{symbol}": "{symbol}.NASDAQ"' for symbol in unknown[:_SHOWN]]
    if len(unknown) > _SHOWN:
        lines.append(f"  # … and {len(unknown) - _SHOWN:,} more: {', '.join(unknown[_SHOWN:])}")
    return (
        f"{len(unknown):,} symbol{'s' if len(unknown) > 1 else ''} of the table {'are' if len(unknown) > 1 else 'is'} no instrument yet: "
        f"{_listed(unknown)}. Nothing was written. If all trade on one venue: --venue NASDAQ. Else write a file, with "
        "their true venues (null leaves a symbol "
        "out), and name it with --map FILE.yaml:\n\nsymbols:\n" + "\n".join(lines)
    )
