"""Numbers that look random and are a pure function of a key and a place: any stretch of time is computed without what came before it."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from market_data_pipeline.domain.bar_table import Int64s

Floats = npt.NDArray[np.float64]

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


class Noise:
    """Hashed numbers of one key: Steele, Lea and Flood's SplitMix64 (OOPSLA 2014), read at any place instead of in order.

    Args:
        key: Anything; other keys give other numbers.
    """

    def __init__(self, key: str) -> None:
        self._key = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())

    def uniform(self, salt: int, places: Int64s) -> Floats:
        """Return numbers in [0, 1), one for each place, in the shape of `places`. Another salt gives other numbers."""
        # 53 bits fill a float.
        return (self._bits(salt, places) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, salt: int, places: Int64s) -> Floats:
        """Return about normal numbers of mean 0 and deviation 1, one for each place: sums of four uniform ones, so none is beyond 3.5."""
        quarters = np.ascontiguousarray(self._bits(salt, places)).view(np.uint16).reshape(*places.shape, 4)
        total = quarters.sum(axis=-1, dtype=np.int64)
        numbers: Floats = (total - 2 * 65_535) * (np.sqrt(3.0) / 65_536)
        return numbers

    def _bits(self, salt: int, places: Int64s) -> npt.NDArray[np.uint64]:
        start = _mixed(self._key ^ (salt * _STEP & _MASK))
        bits = places.astype(np.uint64)
        bits *= np.uint64(_STEP)
        bits += np.uint64(start)
        bits ^= bits >> np.uint64(30)
        bits *= np.uint64(0xBF58476D1CE4E5B9)
        bits ^= bits >> np.uint64(27)
        bits *= np.uint64(0x94D049BB133111EB)
        bits ^= bits >> np.uint64(31)
        return bits


def _mixed(value: int) -> int:
    """Return SplitMix64's scrambling of one number."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
    return value ^ (value >> 31)
