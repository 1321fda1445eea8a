"""Watchlist sync: the YAML is the truth. What is new in it, or in backtests/, becomes partitions without reloading code; nothing is ever removed.

The sensor keeps nothing of its own: each tick compares the files with the partitions that are registered, so a lost tick, a restart or a broken file
in between costs nothing.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of sensors as they are.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.backtests import SPECS, spec_names
from market_data_pipeline.watchlist import Universe, Watchlist, read_watchlist

SENSOR = "watchlist_sync"
_SECONDS_BETWEEN_TICKS = 30
_SHOWN = 8
# What Dagster builds assets, partitions and crons from when it loads the code; instruments are not among it.
_FIXED_AT_LOAD = ("calendar", "start", "end", "bars", "derived", "hours", "settling_minutes")


@dataclass(frozen=True)
class Registered:
    """Dynamic partitions, beside what the files name.

    Attributes:
        definition: Name of the partitions definition.
        label: What a person calls it.
        wanted: Keys that the files name, in their order.
        keys: Keys that are registered.
    """

    definition: str
    label: str
    wanted: Sequence[str]
    keys: Sequence[str]

    @property
    def new(self) -> list[str]:
        """Keys to be registered, in the order of the file."""
        known = set(self.keys)
        return [key for key in self.wanted if key not in known]

    @property
    def gone(self) -> list[str]:
        """Keys that no file names any more; their partitions and data stay."""
        wanted = set(self.wanted)
        return [key for key in self.keys if key not in wanted]


def needs_reload(loaded: Mapping[str, Universe], written: Mapping[str, Universe]) -> list[str]:
    """Return in words what of a watchlist is only seen after the code is loaded again, because assets are made at load."""
    new = [f"universe {name} is new" for name in written if name not in loaded]
    gone = [f"universe {name} is no longer there (its partitions and data stay)" for name in loaded if name not in written]
    changed = []
    for name in written.keys() & loaded.keys():
        keys = [key for key in _FIXED_AT_LOAD if getattr(loaded[name], key) != getattr(written[name], key)]
        if (loaded[name].files is None) != (written[name].files is None):
            keys.append("source")
        if keys:
            changed.append(f"{', '.join(keys)} of universe {name} changed")
    return [*new, *gone, *sorted(changed)]


def in_words(found: Sequence[Registered], reload: Sequence[str]) -> str:
    """Return what a tick did and saw, for a person."""
    added = [f"{one.label}: {_listed(one.new)} became partitions" for one in found if one.new]
    kept = [f"{one.label}: {_listed(one.gone)} left the files; partitions and data stay" for one in found if one.gone]
    after = [f"{'; '.join(reload)}: click Reload definitions (Deployment, Code locations)"] if reload else []
    return ". ".join([*(added or ["Nothing is new"]), *kept, *after]) + "."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def watchlist_sensor(watchlist: Watchlist, places: Places) -> dg.SensorDefinition:
    """Make the sensor `watchlist_sync`, on by default: it reads files and adds partitions, and launches nothing.

    Args:
        watchlist: As it was loaded with the code.
        places: Where the watchlist and the backtest specs are.
    """

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Makes partitions of the instruments that the watchlist names and of the specs in backtests/. None is ever removed, and no data. "
            "While the watchlist is broken nothing changes, and the tick names the line. What needs the code loaded again, it says."
        ),
    )
    def watchlist_sync(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            written = read_watchlist(places.watchlist).universes
        except ConfigurationError as error:
            return dg.SkipReason(f"The watchlist is broken; what it said before holds until it is mended. {error}")
        found = registered(context.instance, written, places.specs)
        return dg.SensorResult(
            skip_reason=in_words(found, needs_reload(watchlist.universes, written)),
            dynamic_partitions_requests=[dg.AddDynamicPartitionsRequest(one.definition, one.new) for one in found if one.new],
        )

    return watchlist_sync


def registered(instance: dg.DagsterInstance, universes: Mapping[str, Universe], specs: Path) -> list[Registered]:
    """Return the partitions of all universes and of the backtest specs, beside what the files name."""
    wanted = [(f"{name}_instruments", name, list(universe.instruments)) for name, universe in universes.items()]
    assert SPECS.name is not None
    wanted.append((SPECS.name, "backtests", spec_names(specs)))
    return [Registered(name, label, keys, instance.get_dynamic_partitions(name)) for name, label, keys in wanted]
