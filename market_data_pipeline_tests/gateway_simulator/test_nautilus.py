"""Nautilus' own adapter, unmodified, against a gateway in a process of its own: one process for the client too, since it starts Nautilus' logging."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from market_data_pipeline_tests.gateway import RunningGateway

_CONVERSATION = Path(__file__).with_name("nautilus_conversation.py")
_MINUTE_NS = 60 * 10**9


@pytest.fixture(scope="module")
def told(gateway: RunningGateway) -> dict[str, Any]:
    """What Nautilus' client got, as `nautilus_conversation.py` wrote it."""
    command = [sys.executable, str(_CONVERSATION), gateway.host, str(gateway.port)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return answer


def test_instruments_have_the_ids_that_nautilus_gives_them(told: dict[str, Any]) -> None:
    assert set(told["instruments"]) == {"AAPL.NASDAQ", "EUR/USD.IDEALPRO", "ESM4.CME", "^SPX.CBOE"}
    assert told["instruments"]["AAPL.NASDAQ"] == {"type": "Equity", "price_precision": 2, "size_precision": 0, "isin": "US0378331005"}
    assert told["instruments"]["EUR/USD.IDEALPRO"]["type"] == "CurrencyPair"
    assert told["instruments"]["EUR/USD.IDEALPRO"]["price_precision"] == 5
    assert told["instruments"]["ESM4.CME"]["type"] == "FuturesContract"


def test_a_day_of_minutes_of_a_stock(told: dict[str, Any]) -> None:
    """390 minutes of regular hours; ts_event is the open of a bar, ts_init its close."""
    stamps = told["minutes"]
    assert len(stamps) == 390
    opening = 1_717_421_400 * 10**9  # 2024-06-03 13:30 UTC
    assert stamps == [[opening + _MINUTE_NS * minute, opening + _MINUTE_NS * (minute + 1)] for minute in range(390)]


def test_days_of_a_stock(told: dict[str, Any]) -> None:
    """Memorial Day left four sessions in the week of 2024-05-27."""
    assert [str(day) for day in told["days"]] == ["2024-05-28", "2024-05-29", "2024-05-30", "2024-05-31"]


def test_minutes_of_a_currency_pair(told: dict[str, Any]) -> None:
    assert len(told["currency"]) == 60
    assert {volume for _, volume in told["currency"]} <= {0.0, -1.0}


def test_hours_of_a_future(told: dict[str, Any]) -> None:
    assert len(told["future"]) == 7


def test_an_unknown_contract_is_no_instrument(told: dict[str, Any]) -> None:
    assert told["unknown"] == []


def test_bars_of_an_error_are_empty(told: dict[str, Any]) -> None:
    """Trades of a currency pair are never there: 162."""
    assert told["error"] == []
