"""History that was rewritten: the same to everybody who asks, and only where the scenario says so."""

from __future__ import annotations

import datetime as dt

import numpy as np

from market_data_pipeline.gateway_simulator.market import ContractQuery, HistoryRequest, Market, Revised, Rewrite, Split
from market_data_pipeline_tests.gateway_simulator.market.asking import AAPL, EURUSD, LATER, request

TUESDAY, WEDNESDAY = dt.date(2024, 6, 11), dt.date(2024, 6, 12)


def rows(market: Market, question: HistoryRequest, rewrite: Rewrite | None = None) -> dict[tuple[int, int], list[float]]:
    """Return open, high, low, close and volume by date of month and start."""
    found = {}
    for date, *values in market.history(question, LATER, rewrite).rows:
        day = dt.datetime.fromtimestamp(int(date), dt.UTC).day
        found[day, int(date)] = [float(value) for value in values[:5]]
    return found


def two_days(contract: ContractQuery = AAPL) -> HistoryRequest:
    """Ask for Tuesday and Wednesday, to 16:00 New York."""
    return request(contract, "1 min", "2 D", end="20240612-20:00:00", what="TRADES" if contract is AAPL else "MIDPOINT")


def test_a_revised_session_has_other_values_in_about_a_tenth_of_its_bars_and_one_less(market: Market) -> None:
    before, after = rows(market, two_days()), rows(market, two_days(), Revised([WEDNESDAY]))
    gone = before.keys() - after.keys()
    assert len(gone) == 1
    changed = {key for key in after if before[key] != after[key]}
    assert {day for day, _ in changed | gone} == {WEDNESDAY.day}
    assert 20 <= len(changed) <= 60
    for key in changed:
        opened, high, low, close, volume = after[key]
        assert low <= min(opened, close)
        assert max(opened, close) <= high
        assert 0.005 < close - before[key][3] < 0.035  # one to three cents
        assert volume >= before[key][4]


def test_it_says_the_same_however_often_it_is_asked_and_another_seed_says_something_else(market: Market) -> None:
    assert rows(market, two_days(), Revised([WEDNESDAY])) == rows(market, two_days(), Revised([WEDNESDAY]))
    assert rows(market, two_days(), Revised([WEDNESDAY])) != rows(market, two_days(), Revised([WEDNESDAY], seed=2))


def test_a_split_divides_prices_and_multiplies_volumes_before_its_date(market: Market) -> None:
    before, after = rows(market, two_days()), rows(market, two_days(), Split(4, WEDNESDAY))
    assert before.keys() == after.keys()
    for key, old in before.items():
        new = after[key]
        if key[0] == WEDNESDAY.day:
            assert new == old
        else:
            assert np.allclose(new[:4], np.array(old[:4]) / 4, atol=0.0051)
            assert new[4] == 4 * old[4]


def test_prices_without_trades_have_no_volume_after_a_split_either(market: Market) -> None:
    after = rows(market, two_days(EURUSD), Split(2))
    assert {values[4] for values in after.values()} == {-1.0}
