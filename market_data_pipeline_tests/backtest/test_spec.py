from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from market_data_pipeline.backtest import BacktestSpec
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import ConfigurationError

SHORT = "name: a\nseries: [AAPL.NASDAQ-1-MINUTE-LAST]\nstart: 2024-01-02\nend: 2024-01-31\n"


def read(folder: Path, text: str) -> BacktestSpec:
    file = folder / "spec.yaml"
    file.write_text(text)
    return BacktestSpec.read(file)


def test_the_shortest_spec_is_a_crossover_of_40_and_260_on_a_margin_account(tmp_path: Path) -> None:
    from market_data_pipeline.backtest.strategies.sma_cross import SmaCrossConfig

    spec = read(tmp_path, SHORT)
    assert spec.all_series == (Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"),)
    assert (spec.start, spec.end) == (dt.date(2024, 1, 2), dt.date(2024, 1, 31))
    assert (spec.account_type, spec.account_currency, spec.starting_balances, spec.allow_gaps) == ("MARGIN", "USD", ["1000000 USD"], False)
    assert spec.strategy.path.endswith("sma_cross:SmaCross")
    defaults = SmaCrossConfig(instrument_id="AAPL.NASDAQ", bar_type="AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
    assert (defaults.fast_period, defaults.slow_period) == (40, 260)


def test_instruments_times_bars_are_series_too(tmp_path: Path) -> None:
    spec = read(tmp_path, SHORT.replace("series: [AAPL.NASDAQ-1-MINUTE-LAST]", "instruments: [AAPL.NASDAQ, EUR/USD.IDEALPRO]\nbars: [1-DAY-LAST]"))
    assert [str(series) for series in spec.all_series] == ["AAPL.NASDAQ-1-DAY-LAST-EXTERNAL", "EUR/USD.IDEALPRO-1-DAY-LAST-EXTERNAL"]
    assert spec.venues == ("NASDAQ", "IDEALPRO")


def test_options_say_the_same_as_yaml(tmp_path: Path) -> None:
    options = {"name": "a", "series": ["AAPL.NASDAQ-1-MINUTE-LAST"], "start": "2024-01-02", "end": "2024-01-31", "seed": None}
    assert BacktestSpec.of(options).fingerprint() == read(tmp_path, SHORT).fingerprint()


def test_a_fingerprint_tells_what_is_asked_and_not_how_it_is_called(tmp_path: Path) -> None:
    first = read(tmp_path, SHORT)
    assert read(tmp_path, SHORT.replace("name: a", "name: b")).fingerprint() == first.fingerprint()
    assert read(tmp_path, SHORT + "seed: 1\n").fingerprint() != first.fingerprint()


def test_several_balances_make_an_account_of_several_currencies(tmp_path: Path) -> None:
    assert read(tmp_path, SHORT + "starting_balances: [1_000_000 USD, 500 EUR]\n").account_currency is None
    assert read(tmp_path, SHORT + "starting_balances: [500 EUR]\nbase_currency: null\n").account_currency is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("end: 2024-01-31", "end: 2024-01-01"), "line 1: the file: the range runs backwards: 2024-01-02 to 2024-01-01"),
        (("end: 2024-01-31\n", ""), "line 1: end: is missing"),
        (("name: a", "name: a b"), "line 1: name: "),
        (("1-MINUTE-LAST", "1-MIN-LAST"), "line 2: series[0]: '1-MIN-LAST' is not a bar spec"),
        (("AAPL.NASDAQ-", "AAPL-"), "line 2: series[0]: 'AAPL' is not an instrument id"),
        (("name: a", "name: a\nallow_gap: true"), "line 2: allow_gap: is no key known here"),
        (("name: a", "name: a\nstarting_balances: [lots]"), "line 2: starting_balances[0]: 'lots' is no amount of money"),
        (("name: a", "name: a\nstarting_balances: [1 USD, 2 USD]"), "line 2: starting_balances: one balance a currency"),
        (("name: a", "name: a\nbase_currency: EUR"), "base_currency EUR is in none of the starting_balances 1000000 USD"),
        (("name: a", "name: a\nfees: {fixed: 1 USD, taker: 0.1, maker: 0.1}"), "line 2: fees: give one of"),
        (("name: a", "name: a\nfees: {taker: 0.1}"), "line 2: fees: maker and taker are given together"),
        (("name: a", "name: a\nstrategy:\n  path: module.Class"), "line 3: strategy.path: "),
        (("series: [AAPL.NASDAQ-1-MINUTE-LAST]", "bars: [1-DAY-LAST]"), "instruments and bars are given together"),
        (("series: [AAPL.NASDAQ-1-MINUTE-LAST]", "series: []"), "names no series"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, SHORT.replace(*change))
    assert "spec.yaml, line" in str(refused.value)
    assert told in str(refused.value)


def test_a_mistake_in_an_option_is_told_with_its_name() -> None:
    with pytest.raises(ConfigurationError) as refused:
        BacktestSpec.of({"name": "a", "series": ["AAPL.NASDAQ-1-MINUTE-LAST"], "start": "yesterday", "starting_balances": ["1"]})
    assert [line.partition(":")[0] for line in str(refused.value).splitlines()] == ["--start", "--end", "--balance"]
