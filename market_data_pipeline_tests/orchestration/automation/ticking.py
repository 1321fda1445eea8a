"""Ticks of a sensor against a real instance, as the daemon makes them: the cursor goes from one to the next, a run key launches once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dagster as dg

from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.universe import UniverseParts, universe_parts
from market_data_pipeline.watchlist import Watchlist, read_watchlist
from market_data_pipeline_tests.orchestration.conftest import Project


def places_of(project: Project) -> Places:
    """Return where a project keeps things."""
    root = project.root
    return Places(root / "catalog", root / "watchlist.yaml", root / "backtests", root / "inbox", root / "results", root / "strategies.yaml")


def loaded(project: Project) -> tuple[Watchlist, list[UniverseParts]]:
    """Return what the code location has in memory."""
    watchlist = read_watchlist(project.root / "watchlist.yaml")
    return watchlist, [universe_parts(watchlist, name) for name in watchlist.universes]


@contextmanager
def unreadable_ledger(project: Project) -> Iterator[None]:
    """Put something that is no database where the ledger was, until the block ends."""
    ledger = project.root / "catalog" / "ledger.sqlite"
    kept = {file: file.read_bytes() for file in ledger.parent.glob("ledger.sqlite*")}
    for file in kept:
        file.unlink()
    ledger.write_bytes(b"this is no database, by any means" * 100)
    yield
    for file in ledger.parent.glob("ledger.sqlite*"):
        file.unlink()
    for file, content in kept.items():
        file.write_bytes(content)


@dataclass(frozen=True)
class Told:
    """What a tick did: the runs it asks for, and what it says where it asks for none."""

    runs: list[dg.RunRequest]
    said: str


@dataclass
class Ticking:
    """A sensor that ticks. `forget` is a daemon that was killed before it could keep the cursor."""

    project: Project
    sensor: dg.SensorDefinition
    cursor: str | None = None
    _launched: set[str] = field(default_factory=set)

    def tick(self, *, forget: bool = False) -> Told:
        """Make a tick; return what the daemon would launch."""
        with dg.build_sensor_context(instance=self.project.instance, cursor=self.cursor) as context:
            result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        if not forget:
            self.cursor = result.cursor
        runs = [run for run in result.run_requests or () if run.run_key not in self._launched]
        self._launched |= {str(run.run_key) for run in runs}
        message = result.skip_reason
        return Told(runs, (message.skip_message or "") if message is not None else "")

    def execute(self, run: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Do what the daemon and a worker do with a run that a tick asks for."""
        assert run.job_name is not None
        job = self.project.definitions.resolve_job_def(run.job_name)
        if run.asset_selection:
            job = job.get_subset(asset_selection=set(run.asset_selection))
        return job.execute_in_process(run_config=run.run_config, tags=run.tags, instance=self.project.instance, raise_on_error=False)
