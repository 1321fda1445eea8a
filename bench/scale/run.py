"""`python -m bench.scale.run FIRST LAST`: one run over a range of stored sessions in this process, and what of it Dagster's events cost.

The sessions are stored whole, so the run reads no bar and asks nobody: what is left is what Dagster does for each partition.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import dagster as dg

from bench.scale.project import UNIVERSE
from market_data_pipeline.definitions import defs
from market_data_pipeline.orchestration.partitions import range_tags


def main(first: str, last: str) -> None:
    """Execute and print one line of JSON."""
    with dg.DagsterInstance.get() as instance:
        spent, storing = [0.0], [False]

        def timed(store: Callable[[Any], None]) -> Callable[[Any], None]:
            def timing(events: Any) -> None:
                if storing[0]:  # a batch may be stored event by event
                    return store(events)
                storing[0], began = True, time.perf_counter()
                try:
                    return store(events)
                finally:
                    storing[0] = False
                    spent[0] += time.perf_counter() - began

            return timing

        storage = instance.event_log_storage
        for name in ("store_event", "store_event_batch"):
            setattr(storage, name, timed(getattr(storage, name)))
        began = time.perf_counter()
        done = defs.resolve_job_def(f"{UNIVERSE}_bars").execute_in_process(instance=instance, tags=range_tags(first, last))
        seconds = time.perf_counter() - began
        counts = {
            kind.value: len(instance.all_logs(done.run_id, of_type=kind))
            for kind in (dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, dg.DagsterEventType.ASSET_MATERIALIZATION)
        }
    print(json.dumps({"seconds": seconds, "storing": spent[0], **counts}))


if __name__ == "__main__":
    main(*sys.argv[1:])
