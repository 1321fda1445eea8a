"""Invented bars: a random walk whose volatility comes in clusters, with a gap between sessions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WalkBars:
    """Bars of one walk, oldest first, as arrays of shape (n,).

    Prices are int64 counts of the smallest step (cents at two decimals); low <= open, close <= high in every bar.
    """

    open: Int64s
    high: Int64s
    low: Int64s
    close: Int64s
    volume: Int64s


@dataclass(frozen=True)
class WalkStyle:
    """How a walk moves.

    Attributes:
        seed: Of numpy's PCG64.
        first_price: The price before the first bar.
        decimals: Decimals of a price.
        deviation: Standard deviation of one bar's logarithmic return, on average.
        gap_deviation: The same of the step between two sessions.
        mean_volume: Average volume of a bar; 0 where the venue reports none.
    """

    seed: int
    first_price: float
    decimals: int
    deviation: float
    gap_deviation: float
    mean_volume: int


def walk(style: WalkStyle, session_starts: Int64s, bars: int) -> WalkBars:
    """Return `bars` bars.

    Args:
        style: How the walk moves.
        session_starts: Positions of the first bar of each session, ascending, beginning with 0.
        bars: Number of bars over all sessions.
    """
    random = np.random.Generator(np.random.PCG64(style.seed))
    volatility = style.deviation * _clusters(random, bars)
    steps = volatility * random.standard_normal(bars)
    gaps = np.zeros(bars)
    gaps[session_starts[1:]] = style.gap_deviation * random.standard_normal(len(session_starts) - 1)
    scale = 10**style.decimals
    log_close = np.log(style.first_price) + np.cumsum(steps + gaps)
    log_open = log_close - steps
    top = np.maximum(log_open, log_close) + volatility * np.abs(random.standard_normal(bars)) * 0.6
    bottom = np.minimum(log_open, log_close) - volatility * np.abs(random.standard_normal(bars)) * 0.6
    opens, highs, lows, closes = (_steps_of(np.exp(x) * scale) for x in (log_open, top, bottom, log_close))
    activity = volatility / style.deviation * np.exp(0.4 * random.standard_normal(bars))
    return WalkBars(opens, highs, lows, closes, _steps_of(style.mean_volume * activity))


def by_session(bars: WalkBars, session_starts: Int64s) -> WalkBars:
    """Return one bar a session, made of its bars."""
    last = np.append(session_starts[1:], len(bars.close)) - 1
    return WalkBars(
        bars.open[session_starts],
        np.maximum.reduceat(bars.high, session_starts),
        np.minimum.reduceat(bars.low, session_starts),
        bars.close[last],
        np.add.reduceat(bars.volume, session_starts),
    )


def _clusters(random: np.random.Generator, bars: int) -> Floats:
    """Return factors around 1 that stay high or low for some hundreds of bars."""
    memory = np.exp(-np.arange(600) / 120.0)
    memory /= np.sqrt(np.sum(memory**2))
    noise = np.convolve(random.standard_normal(bars + len(memory) - 1), memory, mode="valid")
    return np.asarray(np.exp(0.5 * noise - 0.125), dtype=np.float64)


def _steps_of(values: Floats) -> Int64s:
    return np.rint(values).astype(np.int64)
