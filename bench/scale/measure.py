"""(scale) One bars asset of 10 and of 100 instruments x 2,500 sessions, Dagster's runs and events on SQLite and in PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from bench.lines import Line, best_of, within
from bench.report import as_text
from bench.scale.page import open_page
from bench.scale.project import SESSIONS, ScaleProject, newest_sessions
from bench.scale.served import Served, Tick, webserver
from market_data_pipeline_tests.conftest import REPOSITORY
from market_data_pipeline_tests.orchestration.conftest import keep_in_postgres
from market_data_pipeline_tests.postgres import PostgresServer, start_postgres
from market_data_pipeline_tests.processes import running

SIZES = (10, 100)
RECONCILE = "catalog_reconcile"
# What a person waits for, and what a sensor may take of its 30 seconds.
_TICK_S, _DEFINITIONS_S, _PAGE_S = 3.0, 3.0, 3.0
_QUERIES_SHOWN = 3
_TICKS = 4
_TOGETHER = 4


@dataclass(frozen=True)
class Figure:
    """One measurement.

    Attributes:
        seconds: What it took.
        goal_s: What it should take at most; None where there is no goal.
        note: What must be known to read it.
    """

    seconds: float
    goal_s: float | None = None
    note: str = ""


class Figures(dict[str, Figure]):
    """Figures by what was measured; each is said as soon as it is there, for this takes minutes."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def __setitem__(self, work: str, figure: Figure) -> None:
        print(f"  {self._where}: {work}: {as_text(figure.seconds)} {figure.note}", file=sys.stderr)
        super().__setitem__(work, figure)


@dataclass(frozen=True)
class Place:
    """Where Dagster keeps runs and events.

    Attributes:
        name: How a person calls it.
        environment: Variables of the processes that use it.
        size: Returns the bytes that it takes.
        log: Where the processes write.
    """

    name: str
    environment: Mapping[str, str]
    size: Callable[[], int]
    log: Path


def measure(folder: Path, sizes: Sequence[int] = SIZES) -> Iterator[Line]:
    """Make the universe in each size, let Dagster see every session of it, and look at what all that costs."""
    with start_postgres() as server:
        for size in sizes:
            project = ScaleProject(folder / f"{size}-instruments", size)
            project.write()
            what = f"{size} x {SESSIONS:,}"
            load = [sys.executable, "-c", "import market_data_pipeline.definitions"]
            environment = {**project.environment, "PATH": str(Path(sys.executable).parent)}
            seconds = best_of(3, lambda: subprocess.run(load, check=True, cwd=REPOSITORY, env=environment))  # noqa: B023 - called at once
            yield within(f"{what}: definitions loaded by a new process", seconds, _DEFINITIONS_S)
            on_sqlite = _figures(project, _sqlite(project))
            with _postgres(project, server) as place:
                in_postgres = _figures(project, place)
            for work, figure in on_sqlite.items():
                yield _line(f"{what}: {work}", figure, in_postgres.get(work))


def _line(work: str, ours: Figure, peer: Figure | None) -> Line:
    notes = dict.fromkeys(note for note in (ours.note, peer.note if peer else "") if note)
    note = next(iter(notes), "") if len(notes) < 2 else f"SQLite: {ours.note}; PostgreSQL: {peer.note if peer else ''}"
    goal = "" if ours.goal_s is None else f"{ours.goal_s:g} s, both"
    met = None if ours.goal_s is None else max(ours.seconds, peer.seconds if peer else 0.0) <= ours.goal_s
    return Line(work, ours.seconds, "the same in PostgreSQL", peer.seconds if peer else None, goal, met, note)


def _sqlite(project: ScaleProject) -> Place:
    home = project.home("sqlite")
    return Place(
        "SQLite",
        {**project.environment, "DAGSTER_HOME": str(home)},
        lambda: sum(file.stat().st_size for file in (home / "history").rglob("*") if file.is_file()),
        home / "log",
    )


@contextmanager
def _postgres(project: ScaleProject, server: PostgresServer) -> Iterator[Place]:
    home = project.home("postgres")
    keep_in_postgres(home)
    with server.database() as url:
        engine = sa.create_engine(url)

        def size() -> int:
            with engine.connect() as connection:
                return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())

        environment = {**project.environment, "DAGSTER_HOME": str(home), "DAGSTER_POSTGRES_URL": url.replace("+psycopg", "", 1)}
        yield Place("PostgreSQL", environment, size, home / "log")
        engine.dispose()


def _figures(project: ScaleProject, place: Place) -> Figures:
    """Fill an empty Dagster instance through the product's own sensor, then measure what is done with it day by day."""
    figures = Figures(f"{project.instruments} x {SESSIONS:,}, {place.name}")
    busy = f"the machine's load was {os.getloadavg()[0]:.1f}"
    job = ["job", "execute", "-m", "market_data_pipeline.definitions", "-j", "watchlist_partitions"]
    with running("dagster", job, place.environment, place.log) as registering:
        if registering.wait(300):
            raise RuntimeError(place.log.read_text()[-3000:])
    with webserver(place.environment, place.log) as page:
        cursor = _shown(project, place, page, figures, busy)
        _ticks(page, cursor, figures)
        _pages(project, page, figures)
    _run(project, place, figures)
    with webserver(place.environment, place.log) as page:
        page.keep_cursor(RECONCILE, page.tick(RECONCILE, cursor).cursor)
        keys = [f"{date}|{project.names[1]}" for date in newest_sessions()]
        launched, answered = page.launch_backfill(keys)
        with running("dagster-daemon", ["run", "-w", "workspace.yaml"], place.environment, place.log):
            run = page.wait_for_run(launched)
        took = run["endTime"] - run["startTime"]
        figures[f"the page's answer to a backfill of {SESSIONS:,} x 1"] = Figure(answered, _PAGE_S, f"its one run took {took:.1f} s")
    return figures


def _shown(project: ScaleProject, place: Place, page: Served, figures: Figures, busy: str) -> str | None:
    """Let Dagster see what the catalog holds, as after a first start or a change of storage; return the sensor's cursor then."""
    ticks: list[Tick] = []
    before = place.size()
    while not ticks or not ticks[-1].said.startswith("The page shows"):
        ticks.append(page.tick(RECONCILE, ticks[-1].cursor if ticks else None))
    working = [tick.seconds for tick in ticks[:-1]]
    size = (place.size() - before) / project.partitions
    figures["event cost a session stored outside Dagster (materialised)"] = Figure(
        sum(working) / project.partitions, None, f"{len(working)} ticks; {size / 1_000:.1f} kB a session; {busy}"
    )
    figures[f"tick of {RECONCILE}, the longest while all is new"] = Figure(max(working))
    return ticks[-1].cursor


def _ticks(page: Served, cursor: str | None, figures: Figures) -> None:
    sensors, schedules = page.instigators()
    figures[f"tick of {RECONCILE}, its cursor lost"] = Figure(page.tick(RECONCILE, None).seconds)
    for sensor in sensors:
        ticks = [Tick(0, "", cursor if sensor == RECONCILE else None)]
        for _ in range(_TICKS):
            ticks.append(page.tick(sensor, ticks[-1].cursor))
        longest = max(ticks, key=lambda tick: tick.seconds)
        figures[f"tick of {sensor}, the longest of {_TICKS}"] = Figure(longest.seconds, _TICK_S, longest.said[:80])
        figures[f"tick of {sensor}, the last of {_TICKS}"] = Figure(ticks[-1].seconds, _TICK_S, ticks[-1].said[:80])
    for schedule, at in schedules.items():
        tick = page.tick_of_schedule(schedule, at)
        figures[f"tick of schedule {schedule}"] = Figure(tick.seconds, _TICK_S, tick.said[:80])


def _pages(project: ScaleProject, page: Served, figures: Figures) -> None:
    # It counts what it misses: the session that still trades has a partition of each instrument, and is not stored.
    newest = newest_sessions()[-1]
    views = {
        "partitions tab": ("view=partitions", f"Materialized ({project.partitions})"),
        "partitions tab, one partition": (f"view=partitions&partition={newest}%7C{project.names[0]}", "fingerprint"),
    }
    for name, (view, text) in views.items():
        for when, drawn in zip(("first opening", "opened again"), open_page(page.url, view, text), strict=False):
            slowest = sorted(drawn.queries.items(), key=lambda query: -query[1])[:_QUERIES_SHOWN]
            note = ", ".join(f"{query} {seconds:.2f} s" for query, seconds in slowest)
            figures[f"{name} drawn by Chromium, {when}"] = Figure(drawn.seconds, _PAGE_S, note)


def _run(project: ScaleProject, place: Place, figures: Figures) -> None:
    """Run over all sessions of one instrument, which are stored whole; then of several, each in a process, all at once."""
    before, began = place.size(), time.perf_counter()
    with _running(project, place, project.names[0]) as run:
        told = _told(run)
    seconds = time.perf_counter() - began
    planned, made = told["ASSET_MATERIALIZATION_PLANNED"], told["ASSET_MATERIALIZATION"]
    size = (place.size() - before) / SESSIONS
    figures["event cost a session of a run (planned and materialised)"] = Figure(
        told["storing"] / SESSIONS, None, f"{size / 1_000:.1f} kB a session; {planned:,.0f} planned, {made:,.0f} materialised"
    )
    figures[f"a run over {SESSIONS:,} stored sessions of one instrument, from start to exit of its process"] = Figure(seconds)
    began = time.perf_counter()
    with ExitStack() as runs:
        together = [runs.enter_context(_running(project, place, name)) for name in project.names[1 : _TOGETHER + 1]]
        storing = [_told(run)["storing"] / SESSIONS for run in together]
    figures[f"{_TOGETHER} such runs at once"] = Figure(time.perf_counter() - began, None, f"{max(storing) * 1_000:.1f} ms a session to store events")


@contextmanager
def _running(project: ScaleProject, place: Place, instrument: str) -> Iterator[subprocess.Popen[str]]:
    dates = newest_sessions()
    command = [sys.executable, "-m", "bench.scale.run", f"{dates[0]}|{instrument}", f"{dates[-1]}|{instrument}"]
    environment = {**place.environment, "PATH": str(Path(sys.executable).parent)}
    with place.log.open("a") as log, subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as run:
        try:
            yield run
        finally:
            run.kill()


def _told(run: subprocess.Popen[str]) -> dict[str, float]:
    said, _ = run.communicate()
    if run.returncode:
        raise RuntimeError(f"a run ended with exit code {run.returncode}; its log lies in the home's folder")
    told: dict[str, float] = json.loads(said.splitlines()[-1])
    return told
