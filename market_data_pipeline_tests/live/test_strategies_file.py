"""The file of strategies: what it says, and where a mistake stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.live.need import WarmUpSource
from market_data_pipeline.live.strategies_file import StrategiesFile, read_strategies
from market_data_pipeline_tests.conftest import REPOSITORY

AAPL = Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
EURUSD = Series.parse("EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL")
_TWO = """
warm_up: {buffer: 1.5, sources: [catalog], time_limit_s: 30}
strategies:
  - name: slow
    series: ["AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL", "EUR/USD.IDEALPRO-15-MINUTE-MID-EXTERNAL"]
    bars: 260
  - name: fast
    path: my.strategies:Fast
    config: {period: 20, factor: 0.5}
    series: ["AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"]
    bars: 20
"""


def read(folder: Path, text: str) -> StrategiesFile:
    path = folder / "strategies.yaml"
    path.write_text(text)
    return read_strategies(path)


def test_strategies_say_what_they_need_of_each_series(tmp_path: Path) -> None:
    file = read(tmp_path, _TWO)
    assert (file.warm_up.buffer, file.warm_up.sources, file.warm_up.time_limit_s) == (1.5, (WarmUpSource.CATALOG,), 30.0)
    assert [(one.name, need.series, need.bars) for one, need in file.chosen()] == [("slow", AAPL, 260), ("slow", EURUSD, 260), ("fast", AAPL, 20)]
    assert file.calendars == ("NYSE", "FX")
    assert [(one.name, need.series) for one, need in file.chosen(["slow"], ["FX"])] == [("slow", EURUSD)]


def test_names_that_are_not_in_the_file_are_told_with_those_that_are(tmp_path: Path) -> None:
    file = read(tmp_path, _TWO)
    with pytest.raises(ConfigurationError, match=r"No strategy quick is in the strategies' file\. It has slow, fast\."):
        file.chosen(["quick"])
    with pytest.raises(ConfigurationError, match=r"No calendar CME is in the strategies' file\. It has NYSE, FX\."):
        file.chosen(calendars=["CME"])


def test_the_shipped_file_is_right_and_needs_what_the_sample_data_have() -> None:
    file = read_strategies(REPOSITORY / "config" / "strategies.yaml")
    assert [(one.name, str(need.series), need.bars) for one, need in file.chosen()] == [("sma_cross_aapl", str(AAPL), 260)]
    assert file.warm_up.sources == (WarmUpSource.CATALOG, WarmUpSource.IBKR)


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ("bars: 20", "bars: 0", "line 11: strategies[1].bars: must be greater than or equal to 1, not 0"),
        ("bars: 20", 'bars: "20"', "line 11: strategies[1].bars: must be a valid integer, not 20"),
        ("bars: 20", "bar: 20", "line 11: strategies[1].bar: is no key known here"),
        ("    bars: 260\n", "", "line 4: strategies[0].bars: is missing"),
        ("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL", "AAPL.NASDAQ-1-MINUTE-LAST", "line 5: strategies[0].series[0]: 'AAPL.NASDAQ-1-MINUTE-LAST' is not a"),
        ("AAPL.NASDAQ-1", "AAPL.NOWHERE-1", "line 5: strategies[0].series[0]: No trading calendar is known for the venue"),
        ("my.strategies:Fast", "my.strategies.Fast", "line 8: strategies[1].path: 'my.strategies.Fast' names no class. Write module:Class"),
        ("name: fast", "name: slow", "line 2: the file: strategies names slow twice"),
        ("buffer: 1.5", "buffer: 0.5", "line 2: warm_up.buffer: must be greater than or equal to 1"),
        ("sources: [catalog]", "sources: [ibkr]", "warm_up: what is prepared before the open is kept in the catalog"),
        ("time_limit_s: 30", "store: false", "warm_up: what is prepared before the open is kept in the catalog"),
        ("strategies:\n", "strategies: []\nmore:\n", "line 3: strategies: is empty: name at least one"),
        ("sources: [catalog]", "sources: [csv]", "line 2: warm_up.sources[0]: must be 'catalog' or 'ibkr', not csv"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(tmp_path: Path, written: str, instead: str, said: str) -> None:
    assert written in _TWO
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, _TWO.replace(written, instead))
    assert "strategies.yaml" in str(raised.value)
    assert said in str(raised.value)


def test_a_file_that_is_not_there_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no file .*strategies\.yaml .*Write one \(docs/live\.md\), or name it: MDP_STRATEGIES\."):
        read_strategies(tmp_path / "strategies.yaml")
