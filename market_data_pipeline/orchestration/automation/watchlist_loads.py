"""Loads of what is new in the watchlist: definitions, and the history from the universe's start, in ranged runs of a year at most.

Whether something is new is remembered in the sensor's cursor: from which session on the history of each instrument was launched. What fails after it
was launched is the business of the gap filler.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of sensors as they are.

import datetime as dt
import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby

import dagster as dg

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import ConfigurationError, MarketDataError
from market_data_pipeline.orchestration.automation.launchable import beyond, launchable
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.broker import IbkrResource
from market_data_pipeline.orchestration.job_names import asking_jobs
from market_data_pipeline.orchestration.partitions import range_tags, unbroken
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.orchestration.universe import UniverseParts
from market_data_pipeline.watchlist import Universe, Watchlist, read_watchlist

SENSOR = "watchlist_loads"
_SECONDS_BETWEEN_TICKS = 60
# Each run is a row in the page and a process later; the rest follows at the next tick.
_RUNS_AT_ONCE = 24
_PROBE_S = 2.0


@dataclass(frozen=True)
class Piece:
    """A part of an instrument's history that is one run: sessions of one year, both ends included."""

    first: dt.date
    last: dt.date


@dataclass(frozen=True)
class History:
    """The history of one instrument that one bars job is to load.

    Attributes:
        universe: Name of the universe.
        job: Name of the job.
        instrument: The instrument.
        start: From which session on it is loaded then; what the cursor notes.
        pieces: Runs, oldest first; none where all is stored.
    """

    universe: str
    job: str
    instrument: str
    start: dt.date
    pieces: tuple[Piece, ...]

    def requests(self) -> Iterator[dg.RunRequest]:
        """Yield a ranged run for each piece. Its key names where the piece begins: a start that moves back makes new ones."""
        for piece in self.pieces:
            yield dg.RunRequest(
                run_key=f"{self.job}/{self.instrument}/{piece.first}",
                job_name=self.job,
                tags=range_tags(f"{piece.first}|{self.instrument}", f"{piece.last}|{self.instrument}"),
            )


@dataclass
class Seen:
    """What was launched before, as the sensor's cursor keeps it: the first session by bars job and instrument."""

    starts: dict[str, dict[str, dt.date]] = field(default_factory=dict)

    @classmethod
    def of_cursor(cls, cursor: str | None) -> "Seen":
        """Read a cursor; one that is not understood is as none, because what is stored is not asked for again."""
        try:
            written = json.loads(cursor or "{}")["starts"]
            return cls({job: {name: dt.date.fromisoformat(start) for name, start in starts.items()} for job, starts in written.items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def cursor(self) -> str:
        """Return it as a cursor."""
        return json.dumps({"starts": {job: {name: str(start) for name, start in starts.items()} for job, starts in self.starts.items()}})

    def start(self, job: str, instrument: str) -> dt.date | None:
        """Return from which session on the history of an instrument was launched, or None."""
        return self.starts.get(job, {}).get(instrument)

    def note(self, history: History) -> None:
        """Take note that a history was launched, or is stored whole."""
        self.starts.setdefault(history.job, {})[history.instrument] = history.start


def by_year(sessions: Sequence[dt.date]) -> list[Piece]:
    """Return sessions, oldest first, as one piece a calendar year."""
    years = (list(year) for _, year in groupby(sessions, key=lambda session: session.year))
    return [Piece(year[0], year[-1]) for year in years]


def history_of(
    catalog: Catalog,
    name: str,
    universe: Universe,
    job: str,
    specs: Sequence[str],
    instrument: str,
    before: dt.date | None,
    now_ns: int | None = None,
) -> History | None:
    """Return the history that is to be loaded of an instrument, or None if all from the universe's start on was launched before.

    Args:
        catalog: Knows what is stored; years without a gap are left out.
        name: The universe's name.
        universe: The universe.
        job: Name of the bars job.
        specs: Its bar specs; they have the same sessions.
        instrument: The instrument.
        before: From which session on it was launched before; None for never.
        now_ns: What counts as now, UTC nanoseconds; by default the clock.
    """
    partitions = universe.partitions(specs[0])
    ended = [last for spec in specs if (last := universe.settled_session(spec, now_ns)) is not None]
    if len(ended) < len(specs) or (before is not None and before <= universe.start):
        return None
    last = min(ended) if before is None else before - dt.timedelta(days=1)
    gaps = [gap for spec in specs for gap in catalog.gaps(Series.of(instrument, spec), universe.start, last, now_ns, universe.fetched_hours)]
    pieces = [
        piece
        for piece in by_year(partitions.dates_between(universe.start, last))
        if any(gap.first <= piece.last and gap.last >= piece.first for gap in gaps)
    ]
    return History(name, job, instrument, universe.start, tuple(pieces))


@dataclass
class Loads:
    """What a tick launches.

    Attributes:
        histories: Histories that are launched now.
        waiting: In words, what would be launched and is not yet.
    """

    histories: list[History] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)

    @property
    def runs(self) -> int:
        """Runs of bars so far."""
        return sum(len(history.pieces) for history in self.histories)


def plan_loads(
    parts: Sequence[UniverseParts], written: Watchlist, catalog: Catalog, seen: Seen, nobody_there: Callable[[], str], now_ns: int | None = None
) -> Loads:
    """Decide what of a watchlist is launched now. Notes in `seen` what is, and what is stored whole already.

    Args:
        parts: The universes as they were loaded: only their jobs can be launched.
        written: The watchlist as it is now.
        catalog: Knows what is stored.
        seen: What was launched before.
        nobody_there: Says why the broker cannot be asked; empty if it can. Asked once, and only if there is something to ask it for.
        now_ns: What counts as now, UTC nanoseconds; by default the clock.
    """
    loads = Loads()
    why_nobody = cache(nobody_there)
    for universe, specs, history in _new_histories(parts, written, catalog, seen, now_ns):
        if history.pieces:
            missing = _no_files(written, universe, specs, history.instrument) if universe.files is not None else why_nobody()
            too_many = loads.runs and loads.runs + len(history.pieces) > _RUNS_AT_ONCE
            if missing or too_many:
                loads.waiting.append(f"{history.instrument} of {history.universe}: {missing or 'many runs were launched at once; it follows'}")
                continue
            loads.histories.append(history)
        seen.note(history)
    for part in parts:
        universe_now = written.universes.get(part.partitions.name)
        if universe_now is not None and (reason := beyond(part.partitions.name, universe_now, part.partitions.universe)):
            loads.waiting.append(reason)
    return loads


def _new_histories(
    parts: Sequence[UniverseParts], written: Watchlist, catalog: Catalog, seen: Seen, now_ns: int | None
) -> Iterator[tuple[Universe, list[str], History]]:
    """Yield what is not seen of those universes and bar specs that are both loaded and written, with universe and bar specs."""
    for part in parts:
        name, loaded_universe = part.partitions.name, part.partitions.universe
        written_universe = written.universes.get(name)
        if written_universe is None or written_universe.calendar != loaded_universe.calendar:
            continue
        universe = launchable(written_universe, loaded_universe)
        for job, loaded in asking_jobs(part.partitions).items():
            specs = [spec for spec in loaded if spec in universe.bars and spec not in universe.derived]
            for instrument in universe.instruments if specs else ():
                history = history_of(catalog, name, universe, job, specs, instrument, seen.start(job, instrument), now_ns)
                if history is not None:
                    yield universe, specs, history


def _no_files(watchlist: Watchlist, universe: Universe, specs: Sequence[str], instrument: str) -> str:
    assert universe.files is not None
    missing = [series for spec in specs if not universe.files.paths(watchlist.project, series := Series.of(instrument, spec))]
    return f"there is no file {universe.files.pattern_of(missing[0])} below {watchlist.project} yet" if missing else ""


def requests_of(loads: Loads, registered: Mapping[str, Sequence[str]]) -> tuple[list[dg.RunRequest], list[dg.AddDynamicPartitionsRequest]]:
    """Return the runs of a tick, definitions first, and the partitions that they need.

    Args:
        loads: What is launched.
        registered: Registered instruments of each universe, in their order.
    """
    requests: list[dg.RunRequest] = []
    partitions: list[dg.AddDynamicPartitionsRequest] = []
    for name in dict.fromkeys(history.universe for history in loads.histories):
        instruments = list(dict.fromkeys(history.instrument for history in loads.histories if history.universe == name))
        new = [instrument for instrument in instruments if instrument not in registered[name]]
        if new:
            partitions.append(dg.AddDynamicPartitionsRequest(f"{name}_instruments", new))
        for first, last in unbroken([*registered[name], *new], instruments):
            key = f"{name}_instruments/{first}/{last}"
            requests.append(dg.RunRequest(run_key=key, job_name=f"{name}_instruments", tags=range_tags(first, last)))
    return [*requests, *(request for history in loads.histories for request in history.requests())], partitions


def gateway_that_is_missing(ibkr: IbkrResource) -> str:
    """Return why no gateway can be asked, or nothing if something listens where it should be. Takes two seconds at most."""
    from market_data_pipeline.sources.ibkr import IbkrSettings

    try:
        settings = IbkrSettings.from_environment(host=ibkr.host, port=ibkr.port)
        with socket.create_connection((settings.host, settings.port), timeout=_PROBE_S):
            return ""
    except MarketDataError as error:
        return str(error)
    except OSError as error:
        return f"nothing listens at {settings.host}:{settings.port} ({error.strerror or error}); start TWS or IB Gateway, and it follows"


def watchlist_loads_sensor(parts: Sequence[UniverseParts], places: Places) -> dg.SensorDefinition:
    """Make the sensor `watchlist_loads`, off by default: it launches runs that ask the broker, or import files.

    An instrument that is new in the watchlist gets its definition and its history from the universe's start; a start that moved back, the older part.
    Each is launched once. Nothing is launched while no gateway listens, nor for files that are not there.

    Args:
        parts: The universes as they were loaded.
        places: Where the watchlist is.
    """

    @dg.sensor(
        name=SENSOR,
        jobs=[job for part in parts for job in part.jobs],
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=(
            "Fetches the definition of each instrument that is new in the watchlist, and its history from the universe's start, in runs of a year at "
            "most; where a start moved back, the older part. Once each: what fails then is filled by the gap filler. Switch it on to let the "
            "watchlist load itself."
        ),
    )
    def watchlist_loads(context: dg.SensorEvaluationContext, catalog: CatalogResource, ibkr: IbkrResource) -> dg.SensorResult | dg.SkipReason:
        try:
            written = read_watchlist(places.watchlist)
        except ConfigurationError as error:
            return dg.SkipReason(f"The watchlist is broken; nothing is launched until it is mended. {error}")
        seen = Seen.of_cursor(context.cursor)
        loads = plan_loads(parts, written, catalog.open(), seen, lambda: gateway_that_is_missing(ibkr))
        names = {part.partitions.name for part in parts}
        requests, partitions = requests_of(loads, {name: context.instance.get_dynamic_partitions(f"{name}_instruments") for name in names})
        waiting = "; ".join(loads.waiting[:3]) + (f" … and {len(loads.waiting) - 3} more" if len(loads.waiting) > 3 else "")
        if not requests:
            reason = f"Not launched: {waiting}." if waiting else "All that the watchlist names was launched before, or is stored."
            return dg.SensorResult(skip_reason=reason, cursor=seen.cursor())
        for history in loads.histories:
            context.log.info(
                f"{history.instrument}: {history.job} from {history.pieces[0].first} to {history.pieces[-1].last}, {len(history.pieces)} runs"
            )
        if waiting:
            context.log.info(f"Not launched: {waiting}.")
        return dg.SensorResult(run_requests=requests, dynamic_partitions_requests=partitions, cursor=seen.cursor())

    return watchlist_loads
