"""What a gateway can do wrong on the way, and how a fetch ends: January 2024 of a stock, 21 sessions of 78 five-minute bars in five requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import SourceUnavailable
from market_data_pipeline.domain.source import NewsKind
from market_data_pipeline.sources.ibkr import IbkrGateway, IbkrSource
from market_data_pipeline_tests.gateway import RunningGateway
from market_data_pipeline_tests.sources.ibkr.asking import Heard, asked_for, hear, simulated

REQUESTS = 5
# The second request is for these.
SECOND = ["2024-01-09", "2024-01-10", "2024-01-11", "2024-01-12"]
FIVE_MINUTES = Series.parse("AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL")
JANUARY = asked_for(FIVE_MINUTES, "2024-01-02", "2024-01-31")

PASSING = {
    "drop-before": "The gateway closed the connection. Reconnecting to 127.0.0.1",
    "drop-middle": "The gateway closed the connection. Reconnecting to 127.0.0.1",
    "drop-after": "The gateway closed the connection. Reconnecting to 127.0.0.1",
    "half-frame": "Reconnecting to 127.0.0.1",
    "garbage": "not even its clock answered within 2 s. Reconnecting to 127.0.0.1",
    "garbage-frame": "The gateway sent something that is no message of the TWS API. Reconnecting",
    "restart": "The gateway does not answer yet. Reconnecting",
    "outage-lost": "The gateway has lost its connection to IBKR. Waiting up to 20 seconds",
    "outage-kept": "The gateway has lost its connection to IBKR. Waiting up to 20 seconds",
    "error-1300": "Reconnecting to 127.0.0.1",
    "error-503": "Reconnecting to 127.0.0.1",  # a gateway says so of a whole connection
    "silence": "no answer within 1 s (IB_REQUEST_TIMEOUT). Retrying in 0.15 seconds (attempt 1/3)",
    "pacing": "IBKR rate limit reached. Retrying in 0.6 seconds (attempt 1/3)",
    "query-cancelled": "(error 162). Retrying in 0.15 seconds (attempt 1/3)",
    "error-165": "(error 165). Retrying in 0.15 seconds (attempt 1/3)",
    "error-366": "(error 366). Retrying in 0.15 seconds (attempt 1/3)",
    "error-100": "(error 100). Retrying in 0.15 seconds (attempt 1/3)",
    "error-10197": "Log out of the other session of this user, or wait until it ends. Retrying",
    "no-data": "no bars. Asking again before it is believed.",
    "empty": "no bars. Asking again before it is believed.",
    "truncated": "Asking again before it is believed.",
}
HARMLESS = ["one-byte", "disorder", "duplicates", "stale"]
FINAL = {
    "no-permission": "No market data permissions for SMART STK (error 162). Subscribe to the exchange's data in Client Portal",
    "unknown-contract": "No security definition has been found for the request (error 200)",
    "ambiguous": "ambiguous (error 200)",
    "error-321": "(error 321)",
    "error-354": "(error 354)",
    "error-430": "(error 430)",
    "error-10090": "(error 10090)",
    "error-10314": "(error 10314)",
}
# The first of its kind is tried always, its like only with all tests.
ALIKE = frozenset(
    {
        *("drop-before", "drop-after", "half-frame", "outage-kept", "error-1300", "error-503", "error-366", "empty"),
        *("disorder", "duplicates", "ambiguous", "error-430", "error-10090", "error-10314"),
    }
)
SYMBOLS = ["AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "TSLA", "META", "QQQ"]


class Gateways:
    """Gateways that are started when they are needed, each with a fault in the second request for each of eight stocks."""

    def __init__(self, folder: Path) -> None:
        faults = sorted([*PASSING, *HARMLESS, *FINAL], key=lambda fault: fault in ALIKE)
        self._places = {fault: (i // len(SYMBOLS), SYMBOLS[i % len(SYMBOLS)]) for i, fault in enumerate(faults)}
        self._folder = folder
        self._running: dict[int, IbkrGateway] = {}
        self.stack = ExitStack()

    def place(self, fault: str) -> tuple[IbkrGateway, Series]:
        """Return the gateway that has a fault, and the series that meets it."""
        number, symbol = self._places[fault]
        if number not in self._running:
            flags = [part for each, (where, stock) in self._places.items() if where == number for part in ("--fault", f"history/{stock}:2={each}")]
            _, self._running[number] = self.stack.enter_context(simulated(self._folder / str(number), *flags, pace=0.001))
        return self._running[number], Series.of(f"{symbol}.NASDAQ", "5-MINUTE-LAST")


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    gateways = Gateways(tmp_path_factory.mktemp("gateways"))
    with gateways.stack:
        yield gateways


def each_of(faults: Iterable[str]) -> list[ParameterSet]:
    return [pytest.param(fault, marks=pytest.mark.slow if fault in ALIKE else ()) for fault in faults]


def first_and_second(gateways: Gateways, fault: str) -> tuple[Heard, Heard]:
    """Return what is heard with a fault, and without."""
    gateway, series = gateways.place(fault)
    january = asked_for(series, "2024-01-02", "2024-01-31")
    first, second = hear(IbkrSource(gateway, series), january), hear(IbkrSource(gateway, series), january)
    assert (second.coverage, second.rows, second.requests) == ({"complete": 21}, [78] * 21, REQUESTS)
    return first, second


@pytest.mark.parametrize("fault", each_of(PASSING))
def test_what_passes_leaves_the_same_bars_and_is_told(gateways: Gateways, fault: str) -> None:
    heard, faultless = first_and_second(gateways, fault)
    assert (heard.error, heard.failures) == (None, [])
    assert heard.fingerprints == faultless.fingerprints
    assert heard.dates == faultless.dates
    assert any(PASSING[fault] in one.message for one in heard.news), [one.message for one in heard.news]


@pytest.mark.parametrize("fault", each_of(HARMLESS))
def test_what_only_looks_wrong_costs_no_request(gateways: Gateways, fault: str) -> None:
    heard, faultless = first_and_second(gateways, fault)
    assert (heard.fingerprints, heard.requests) == (faultless.fingerprints, REQUESTS)


@pytest.mark.parametrize("fault", each_of(FINAL))
def test_what_is_final_fails_its_sessions_and_the_others_go_on(gateways: Gateways, fault: str) -> None:
    heard, faultless = first_and_second(gateways, fault)
    assert [str(failure.session) for failure in heard.failures] == SECOND
    assert FINAL[fault] in heard.failures[0].reason
    assert [date for date in faultless.dates if str(date) not in SECOND] == heard.dates
    assert heard.requests == REQUESTS


def test_a_request_that_fails_again_and_again_is_given_up_after_three_retries(tmp_path: Path) -> None:
    """Four of five requests are asked four times each."""
    with simulated(tmp_path, "--fault", "history:2-40=query-cancelled") as (_, gateway):
        heard = hear(IbkrSource(gateway, FIVE_MINUTES), JANUARY)
    assert len(heard.failures) == 16
    assert heard.coverage == {"complete": 5}
    retries = [message.rpartition("(")[2] for message in heard.messages(NewsKind.RETRYING) if "2024-01-09" in message]
    assert retries == ["attempt 1/3)", "attempt 2/3)", "attempt 3/3)"]
    assert heard.requests == 1 + 4 * 4


def test_silence_that_lasts_is_asked_for_in_halves_and_then_given_up(tmp_path: Path) -> None:
    with simulated(tmp_path, "--fault", "history:*=silence", request_timeout_s=0.2, in_flight=1) as (process, gateway):
        heard = hear(IbkrSource(gateway, FIVE_MINUTES), asked_for(FIVE_MINUTES, "2024-01-09", "2024-01-12"))
        kinds = process.statistics()["answers"]
    assert len(heard.failures) == 4
    assert "no answer within 0.2 s" in heard.failures[0].reason
    assert "bars" not in kinds


def hear_and_kill(source: IbkrSource, process: RunningGateway, heard: Heard) -> None:
    """Fetch, and kill the gateway after five answers."""
    for told in source.fetch(JANUARY):
        heard.take(told)
        if len(heard.answers) == 5 and process.process.poll() is None:
            process.process.kill()
            process.process.wait()


def test_a_gateway_that_is_gone_for_good_ends_the_fetch_and_what_was_told_stands(tmp_path: Path) -> None:
    heard = Heard()
    with simulated(tmp_path, "--fault", "history:4=slow:0.4", reconnect_s=50.0, in_flight=1) as (process, gateway):
        source = IbkrSource(gateway, FIVE_MINUTES)
        with pytest.raises(SourceUnavailable, match="was lost and did not come back: No IB Gateway listens"):
            hear_and_kill(source, process, heard)
    assert len(heard.answers) >= 5
    assert set(heard.rows) == {78}


def test_no_data_that_is_said_twice_is_empty(tmp_path: Path) -> None:
    """One request for four sessions, and its second asking; the head time stamp between them says that there should be something."""
    with simulated(tmp_path, "--fault", "history:*=no-data") as (process, gateway):
        heard = hear(IbkrSource(gateway, FIVE_MINUTES), asked_for(FIVE_MINUTES, "2024-01-09", "2024-01-12"))
        kinds = process.statistics()["requests"]["by_kind"]
    assert (heard.coverage, heard.failures) == ({"empty": 4}, [])
    assert (kinds["history"], kinds["head"]) == (2, 1)


def test_a_data_service_that_never_answers_is_given_up_before_every_session_has_waited_for_it(tmp_path: Path) -> None:
    """21 requests, two at once: after twice two in a row without an answer, the other 17 are not waited for."""
    minutes = Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
    quick = {"request_timeout_s": 0.2, "retries": 0, "in_flight": 2}
    with simulated(tmp_path, "--fault", "history:*=silence", **quick) as (process, gateway):
        heard = hear(IbkrSource(gateway, minutes), asked_for(minutes, "2024-01-02", "2024-01-31"))
        asked = process.statistics()["historical"]["total"]
    assert isinstance(heard.error, SourceUnavailable)
    assert "4 requests in a row got no answer" in str(heard.error)
    assert asked < 21
