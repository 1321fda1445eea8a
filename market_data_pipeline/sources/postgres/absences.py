"""How far apart the bars of a series usually are: what tells thin trading from a hole, told of sessions in any number of pieces."""

from __future__ import annotations

from collections import Counter

import numpy as np

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.domain.sessions import Partitions


class Absences:
    """Counts the stretches without a bar inside regular hours. Memory: one number for each length that occurs."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions
        self._lengths: Counter[int] = Counter()
        self._touching = 0

    def add(self, closes: Int64s) -> None:
        """Take the closes (UTC nanoseconds, in order) of whole sessions."""
        partitions = self._partitions
        if len(closes) < 2 or partitions.spec.is_daily_or_longer:
            return
        length = partitions.spec.length_ns
        session = partitions.calendar_index[partitions.index_of_close(closes)]
        calendar = partitions.calendar
        regular = (closes > calendar.open_ns[session]) & (closes < calendar.close_ns[session] + length)
        both = regular[1:] & regular[:-1] & (session[1:] == session[:-1])
        gaps = (np.diff(closes) - length)[both]
        lengths, counts = np.unique(gaps[gaps > 0], return_counts=True)
        self._touching += len(gaps) - int(counts.sum())
        self._lengths.update(dict(zip(lengths.tolist(), counts.tolist(), strict=True)))

    def usual_s(self) -> float:
        """Return the median time, in seconds, between the end of a bar and the start of the next one."""
        count = self._lengths.total()
        if self._touching >= count:
            return 0.0
        # The median of all: the ones that touch are zeros below the rest.
        left = (self._touching + count) // 2 - self._touching
        for length in sorted(self._lengths):
            left -= self._lengths[length]
            if left < 0:
                return length / NANOSECONDS
        return 0.0
