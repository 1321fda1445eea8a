"""What time it is at the simulated gateway."""

from __future__ import annotations

import datetime as dt
import time

_BILLION = 1_000_000_000


class Clock:
    """A clock that may start at another time and run at another speed than the real one.

    One that was told neither is this machine's clock, also where that is set, or the machine sleeps.

    Args:
        start_ns: UTC nanoseconds since 1970 to start at; the real time if None.
        speed: Simulated seconds per real second; 0 stands still.
    """

    def __init__(self, start_ns: int | None = None, speed: float = 1.0) -> None:
        self._is_real = start_ns is None and speed == 1.0
        self._start_ns = time.time_ns() if start_ns is None else start_ns
        self._began_ns = time.monotonic_ns()
        self._speed = speed

    def now_ns(self) -> int:
        """Return the time of the market, in UTC nanoseconds since 1970."""
        if self._is_real:
            return time.time_ns()
        return self._start_ns + int((time.monotonic_ns() - self._began_ns) * self._speed)

    def now(self) -> dt.datetime:
        """Return the time of the market, aware, in UTC, to the microsecond."""
        return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=self.now_ns() // 1000)

    def real_seconds_until(self, moment_ns: int) -> float | None:
        """Return how many real seconds it takes until the market's time is `moment_ns`; 0 if it is past, None if it never comes."""
        left = moment_ns - self.now_ns()
        if left <= 0:
            return 0.0
        return left / self._speed / _BILLION if self._speed > 0 else None
