"""Whatever interrupts a caller cancels the request at the gateway, at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.sources.ibkr import IbkrSource
from market_data_pipeline_tests.gateway import RunningGateway
from market_data_pipeline_tests.sources.ibkr.asking import asked_for, simulated

MINUTE = Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
ASKED = asked_for(MINUTE, "2024-01-02", "2024-01-31")


def wait_until(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def nothing_open(process: RunningGateway) -> bool:
    return bool(process.statistics()["historical"]["open_now"] == 0)


class Interrupted(BaseException):
    """As Dagster's DagsterExecutionInterruptedError: raised by a signal, in the middle of anything, and no Exception."""


def test_stopping_the_generator_cancels_what_is_under_way(tmp_path: Path) -> None:
    with simulated(tmp_path, "--fault", "history:2-9=silence", request_timeout_s=60.0) as (process, gateway):
        fetching = iter(IbkrSource(gateway, MINUTE).fetch(ASKED))
        next(fetching)
        assert wait_until(lambda: process.statistics()["historical"]["open_now"] >= 2)
        started = time.monotonic()
        fetching.close()  # type: ignore[attr-defined]
        assert time.monotonic() - started < 1
        assert wait_until(lambda: nothing_open(process))
        assert gateway.budget().open == 0


def test_a_signal_ends_a_wait_for_an_answer_at_once(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise Interrupted

    with simulated(tmp_path, "--fault", "history:*=silence", request_timeout_s=60.0) as (process, gateway):
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            started = time.monotonic()
            with pytest.raises(Interrupted):
                list(IbkrSource(gateway, MINUTE).fetch(ASKED))
            assert 0.4 < time.monotonic() - started < 1.5
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert wait_until(lambda: nothing_open(process))


def test_a_wait_before_a_retry_is_cancelled_at_once(tmp_path: Path) -> None:
    with simulated(tmp_path, "--fault", "history:*=query-cancelled", wait_scale=1.0, in_flight=1) as (_, gateway):
        fetching = iter(IbkrSource(gateway, MINUTE).fetch(ASKED))
        while "Retrying in 15 seconds" not in getattr(next(fetching), "message", ""):
            pass
        started = time.monotonic()
        fetching.close()  # type: ignore[attr-defined]
        gateway.close()
        assert time.monotonic() - started < 2


_CHILD = """
import sys
from pathlib import Path
from market_data_pipeline.sources.ibkr import IbkrGateway, IbkrSettings, IbkrSource
from market_data_pipeline_tests.sources.ibkr.asking import asked_for
from market_data_pipeline.domain.bar_types import Series
series = Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL")
folder = Path(sys.argv[2])
settings = IbkrSettings(port=int(sys.argv[1]), state=folder, pacing_db=str(folder / "pacing.sqlite"))
try:
    with IbkrGateway(settings) as gateway:
        for told in IbkrSource(gateway, series).fetch(asked_for(series, "2024-01-02", "2024-01-31")):
            print("told", flush=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_ctrl_c_ends_a_process_cleanly(tmp_path: Path) -> None:
    with (
        simulated(tmp_path, "--fault", "history:*=silence") as (gateway, _),
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _CHILD, str(gateway.port), str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child,
    ):
        assert child.stdout is not None
        child.stdout.readline()
        started = time.monotonic()
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=10)
        assert (child.returncode, errors) == (130, "")
        assert time.monotonic() - started < 3
        assert wait_until(lambda: nothing_open(gateway))


class Enough(Exception):
    """What a watcher raises."""


def test_a_watcher_ends_a_wait_for_bars_and_the_gateway_can_be_asked_again(tmp_path: Path) -> None:
    until = time.monotonic() + 0.5

    def look() -> None:
        if time.monotonic() > until:
            raise Enough

    with simulated(tmp_path, "--fault", "history:1-4=silence", request_timeout_s=120.0) as (process, gateway):
        started = time.monotonic()
        with gateway.watched(look), pytest.raises(Enough):
            list(IbkrSource(gateway, MINUTE).fetch(ASKED))
        with gateway.watched(look), pytest.raises(Enough):
            list(IbkrSource(gateway, MINUTE).fetch(ASKED))
        assert time.monotonic() - started < 60
        assert wait_until(lambda: nothing_open(process), 30)
        assert gateway.now_ns() > 0
