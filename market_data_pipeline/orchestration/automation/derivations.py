"""Derived bars follow the finer ones: which sessions to derive now, as runs."""

# No `from __future__ import annotations`: kept the same in all modules that touch Dagster's decorated functions.

import datetime as dt
import hashlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.ingest.derive import to_derive
from market_data_pipeline.orchestration.bars import bars_key
from market_data_pipeline.orchestration.job_names import job_of
from market_data_pipeline.orchestration.partitions import range_tags, unbroken
from market_data_pipeline.orchestration.universe import UniverseParts

# Each is a process for a moment; what is left is launched by the ticks that follow.
_RUNS_AT_ONCE = 10


@dataclass(frozen=True)
class Pair:
    """Bars that a universe derives.

    Attributes:
        parts: The universe.
        spec: The bar spec.
        finer: What it is derived from.
    """

    parts: UniverseParts
    spec: str
    finer: str

    def touched(self, changed: Collection[Series]) -> list[str]:
        """Return the instruments of the universe whose finer or derived bars changed, in the order of the file."""
        names = {series.instrument_id for series in changed if str(series.spec) in (self.spec, self.finer)}
        return [name for name in self.parts.partitions.universe.instruments if name in names]


@dataclass
class Derivations:
    """What a tick launches.

    Attributes:
        requests: The runs.
        later: Series that are looked at again by the next tick.
    """

    requests: list[dg.RunRequest] = field(default_factory=list)
    later: list[Series] = field(default_factory=list)


def pairs_of(parts: Sequence[UniverseParts]) -> list[Pair]:
    """Return all that universes derive."""
    return [Pair(one, spec, finer) for one in parts for spec, finer in one.partitions.universe.derived.items()]


def marks_of_declarations(pairs: Sequence[Pair]) -> Mapping[str, str]:
    """Return, by series of finer bars, what is derived from it: a new declaration is a change of the finer series."""
    found: dict[str, str] = {}
    for pair in pairs:
        for series in pair.parts.partitions.universe.series(pair.finer):
            found[str(series)] = f"{found.get(str(series), '')}+{pair.spec}"
    return found


def derivations(
    instance: dg.DagsterInstance, catalog: Catalog, pairs: Sequence[Pair], changed: Collection[Series], held: Collection[str], give_up: float
) -> Derivations:
    """Return the runs that derive what is missing or stale, and can be derived, of series that changed.

    Args:
        instance: Knows which instruments are partitions.
        catalog: Knows what is stored.
        pairs: What is derived.
        changed: Series whose bars changed and have come to rest.
        held: Series, by name, that a run loads: they are looked at later.
        give_up: When to leave the rest to the next tick, by `time.monotonic`.
    """
    done = Derivations()
    for pair in pairs:
        work: dict[tuple[dt.date, dt.date], dict[str, str]] = {}
        for instrument in pair.touched(changed):
            series = Series.of(instrument, pair.spec)
            if str(series) in held or time.monotonic() > give_up:
                done.later.append(Series.of(instrument, pair.finer))
                continue
            for first, last, mark in _pieces(catalog, pair, series):
                work.setdefault((first, last), {})[instrument] = mark
        for request in _runs(instance, pair, work):
            if len(done.requests) < _RUNS_AT_ONCE:
                done.requests.append(request)
            else:
                done.later += [Series.of(name, pair.finer) for marks in work.values() for name in marks]
                break
    return done


def _pieces(catalog: Catalog, pair: Pair, series: Series) -> Iterator[tuple[dt.date, dt.date, str]]:
    """Yield ranges of sessions to derive, with a mark of their finer bars; none has a session in it that cannot be derived yet."""
    universe = pair.parts.partitions.universe
    last = universe.last_session(pair.spec)
    if last is None:
        return
    found = to_derive(catalog, series, Series.of(series.instrument_id, pair.finer), universe.start, last)
    for piece in _side_by_side(universe.partitions(pair.spec), found):
        yield piece[0][0], piece[-1][0], hashlib.blake2b("".join(mark for _, mark in piece).encode(), digest_size=8).hexdigest()


def _side_by_side(partitions: Partitions, found: Sequence[tuple[dt.date, str]]) -> Iterator[list[tuple[dt.date, str]]]:
    piece: list[tuple[dt.date, str]] = []
    before = -1
    for session, mark in found:
        position = partitions.index_of(session)
        assert position is not None  # the calendar named it
        if piece and position != before + 1:
            yield piece
            piece = []
        piece.append((session, mark))
        before = position
    if piece:
        yield piece


def _runs(instance: dg.DagsterInstance, pair: Pair, work: Mapping[tuple[dt.date, dt.date], Mapping[str, str]]) -> Iterator[dg.RunRequest]:
    """Yield a run for the same sessions of instruments that stand side by side among the partitions; the newest sessions first."""
    partitions = pair.parts.partitions
    registered = list(instance.get_dynamic_partitions(str(partitions.instruments.name)))
    key, job = bars_key(partitions.name, pair.spec), job_of(partitions, pair.spec)
    for first, last in sorted(work, key=lambda one: (one[1], one[0]), reverse=True):
        marks = work[first, last]
        for first_id, last_id in unbroken(registered, [name for name in marks if name in registered]):
            inside = registered[registered.index(first_id) : registered.index(last_id) + 1]
            digest = hashlib.blake2b("".join(f"{name}{marks[name]}" for name in inside).encode(), digest_size=8).hexdigest()
            yield dg.RunRequest(
                run_key=f"{key.to_user_string()}:{first}:{last}:{first_id}:{last_id}:{digest}",
                job_name=job,
                asset_selection=[key],
                tags=range_tags(f"{first}|{first_id}", f"{last}|{last_id}"),
            )
