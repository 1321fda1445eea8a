"""The whole chain of the universes that need no broker as `dagster job execute` calls, for `./dev run`: one line a job, its name, a tab, its tags.

One asset job cannot mix partitions, so the chain is several jobs, in this order: instruments, bars and availability of each universe,
then each backtest spec. With `--summary` it says what stands afterwards.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import dagster as dg

from market_data_pipeline.backtest import list_results
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.words import count
from market_data_pipeline.orchestration.backtests import spec_names
from market_data_pipeline.orchestration.failures import ClearFailure, one_clear_message
from market_data_pipeline.orchestration.job_names import bars_jobs
from market_data_pipeline.orchestration.partitions import PARTITION_TAG, UniversePartitions, range_tags, unbroken
from market_data_pipeline.orchestration.resources import place
from market_data_pipeline.watchlist import read_watchlist


def calls(instance: dg.DagsterInstance) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the name and tags of each job of the chain. The watchlist's partitions must be registered."""
    watchlist = read_watchlist(place("MDP_CONFIG", "config/watchlist.yaml"))
    for name, universe in watchlist.universes.items():
        if universe.files is None:
            continue  # a gateway need not be there: `./dev run` needs no account
        partitions = UniversePartitions.of(name, universe)
        registered = instance.get_dynamic_partitions(f"{name}_instruments")
        last = universe.last_session(universe.bars[0])
        for first_id, last_id in unbroken(registered, universe.instruments):
            yield f"{name}_instruments", range_tags(first_id, last_id)
            if last is not None:
                start = partitions.universe.partitions(universe.bars[0]).dates_between(universe.start, last)[0]
                tags = range_tags(f"{start}|{first_id}", f"{last}|{last_id}")
                yield f"{name}_bars", tags
                if (derived := f"{name}_derived_bars") in bars_jobs(partitions):
                    yield derived, tags
            yield f"{name}_availability", range_tags(first_id, last_id)
    for spec in spec_names(place("MDP_BACKTEST_SPECS", "backtests")):
        yield "backtest", {PARTITION_TAG: spec}


def summary() -> list[str]:
    """Return a few lines that say what stands in the catalog, and where."""
    root = place("MDP_CATALOG", "data/catalog")
    lines = []
    for found in Catalog.open(root).availabilities():
        gaps = f"{count(sum(gap.sessions for gap in found.gaps), 'session')} in gaps" if found.gaps else "complete"
        lines.append(
            f"  {found.series}: {found.first_session} to {found.last_session}, {count(found.stored, 'session')}, {count(found.rows, 'bar')}, {gaps}"
        )
    results = list_results(place("MDP_BACKTESTS", "data/backtests"))
    lines.append(f"  catalog    {root}")
    if results:
        lines.append(f"  tearsheet  {results[-1].tearsheet}")
    return lines


def main() -> None:
    """Print the chain, or the summary."""
    try:
        with one_clear_message():
            if "--summary" in sys.argv[1:]:
                sys.stdout.write("\n".join(summary()) + "\n")
                return
            with dg.DagsterInstance.get() as instance:
                for job, tags in calls(instance):
                    sys.stdout.write(f"{job}\t{json.dumps(tags)}\n")
    except ClearFailure as error:
        sys.exit(f"error: {error.message}")


if __name__ == "__main__":
    main()
