"""Runs commands of `mdp` in processes of their own, each of which ends where it is told to.

A program, not a module of tests: `python -m market_data_pipeline_tests.reliability.crashing` imports everything once, reads jobs from its
standard input, a line of JSON each, forks for each, and answers with a line of JSON:

- {"folder", "command", "environment", "step", "after_s", "loses_power"}: `mdp` runs in the folder and is killed at the step, or after so many
  seconds; with neither it runs to its end. The answer has the code (-9 where it was killed), the seconds, and of a run to its end the names of
  its steps.
- {"folder", "command", "environment", "step", "fails"}: as above, but the system refuses the step with an error number, and those like it.
- {"folder", "command", "environment", "limit_s", "memory"}: `mdp` runs in the folder. The answer has the code (-14 where it took longer than so many
  seconds) and what it said; it may take so many bytes more than a process that has imported everything.
- {"read": ROOT}: Nautilus opens a catalog and reads all of it. The answer has the code, and what it saw.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.reliability.steps import Steps

# What the commands import when they run.
_HEAVY = (
    "nautilus_trader.model.instruments",
    "nautilus_trader.persistence.catalog",
    "nautilus_trader.serialization.arrow.serializer",
    "pandas_market_calendars",
    "ib_async.client",
    "ibapi.contract",
    "psycopg",
    "filelock",
    "market_data_pipeline.catalog.compaction",
    "market_data_pipeline.catalog.revisions",
    "market_data_pipeline.catalog.writer",
    "market_data_pipeline.catalog.verify",
    "market_data_pipeline.cli.app",
    "market_data_pipeline.cli.deriving",
    "market_data_pipeline.cli.exporting",
    "market_data_pipeline.cli.importing",
    "market_data_pipeline.cli.loading",
    "market_data_pipeline.cli.migrating",
    "market_data_pipeline.cli.rechecking",
    "market_data_pipeline.ingest.adopt",
    "market_data_pipeline.ingest.compact",
    "market_data_pipeline.ingest.derive",
    "market_data_pipeline.ingest.from_broker",
    "market_data_pipeline.ingest.import_csv",
    "market_data_pipeline.ingest.inbox",
    "market_data_pipeline.ingest.migrate_postgres",
    "market_data_pipeline.ingest.recheck",
    "market_data_pipeline.ingest.repair",
    "market_data_pipeline.sources.csv",
    "market_data_pipeline.sources.ibkr",
    "market_data_pipeline.sources.postgres",
)


Tell = Callable[[Any], None]
"""Hands what a process found to the one that forked it."""


def forked(work: Callable[[Tell], int], after_s: float | None = None) -> tuple[int, Any]:
    """Do work in a process of its own, killed after so many seconds; return how it ended, and what it told."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        write, end, code = os.write, os._exit, 70
        try:
            code = work(lambda found: _write_all(write, writing, json.dumps(found).encode()))
        finally:
            end(code)
    os.close(writing)
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), json.loads(told) if told else None


def _write_all(write: Callable[[int, bytes], int], descriptor: int, data: bytes) -> None:
    while data:
        data = data[write(descriptor, data) :]


def command(job: dict[str, Any], tell: Tell) -> int:
    """Be the process of a command."""
    os.chdir(job["folder"])
    os.environ.update(job["environment"])
    os.environ["XDG_STATE_HOME"] = str(Path(job["folder"]) / "state")
    said = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    from market_data_pipeline.cli.main import main

    if "limit_s" in job:
        _enclose(job)
        return main(job["command"])
    steps = Steps(job.get("step") or 0, loses_power=bool(job.get("loses_power")), fails=job.get("fails") or 0)
    steps.watch()
    code = main(job["command"])
    tell(steps.names)
    return code


def _enclose(job: dict[str, Any]) -> None:
    """Put an end to what hangs, and to what takes more and more."""
    taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + job["memory"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(job["limit_s"])


def read(root: str, tell: Tell) -> int:
    """Be the process that looks at a catalog as any user of Nautilus does."""
    from nautilus_trader.model.data import Bar
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    catalog = ParquetDataCatalog(root)
    series: defaultdict[str, list[Any]] = defaultdict(list)
    for bar in catalog.query(Bar):
        series[str(bar.bar_type)].append(bar)
    seen = {}
    for name, bars in series.items():
        closes = [bar.ts_init for bar in bars]
        seen[name] = len(bars), len(set(closes)), closes == sorted(closes), hashlib.blake2b("".join(map(str, bars)).encode()).hexdigest()
    tell({"bars": seen, "instruments": sorted(str(one.id) for one in catalog.instruments())})
    return 0


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job."""
    if "read" in job:
        code, seen = forked(lambda tell: read(job["read"], tell))
        return {"code": code, "seen": seen}
    began = time.monotonic()
    code, steps = forked(lambda tell: command(job, tell), job.get("after_s"))
    if "limit_s" in job:
        said = Path(job["folder"]) / "said.txt"
        return {"code": code, "said": said.read_text(encoding="utf-8", errors="replace") if said.exists() else ""}
    return {"code": code, "seconds": time.monotonic() - began, "steps": steps}


def warm_up() -> None:
    """Import what the commands need, and have the calendars at hand."""
    for module in _HEAVY:
        importlib.import_module(module)
    _listen_shortly()
    for spec in ("1-MINUTE-LAST", "5-MINUTE-LAST"):
        partitions_of(Series.of("AAPL.NASDAQ", spec))


def _listen_shortly() -> None:
    """Let a compaction look for readers once, not for two seconds: nobody reads these catalogs, and who does is tested in `catalog/`."""
    from market_data_pipeline.catalog.readers import OpenWatch

    listen = OpenWatch.opened
    setattr(OpenWatch, "opened", lambda watch, own, _at_least_s: listen(watch, own, 0.0))  # noqa: B010 - mypy forbids it otherwise


if __name__ == "__main__":
    warm_up()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
