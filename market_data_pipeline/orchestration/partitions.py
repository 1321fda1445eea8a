"""Partitions of a universe: sessions x instruments; and which of them a run was asked for.

Dagster itself takes the tag `2024-01-06|AAPL.NASDAQ`, a Saturday, for the next Monday, and fails deep inside on a key that it does
not know. So the tags are read here first.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np

from market_data_pipeline.domain.errors import InvalidDate, InvalidPartition
from market_data_pipeline.domain.sessions import date_of, day_number, parse_date
from market_data_pipeline.orchestration.beta import beta_parameters
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.watchlist import Universe

if TYPE_CHECKING:
    from dagster._core.instance import DynamicPartitionsStore

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
_WEEKEND = "0 0 * * 0,6"


def session_partitions(universe: Universe, spec: str) -> dg.DailyPartitionsDefinition:
    """Return one key for each session from the universe's start to the one that is running; closed days are left out."""
    partitions = universe.partitions(spec)
    first, last = day_number(universe.start), int(partitions.days[-1])
    days = np.arange(first, last + 1)
    closed = days[~np.isin(days, partitions.days)]
    # 1970-01-01 was a Thursday: day 2 a Saturday, day 3 a Sunday.
    weekend = np.isin(days % 7, (2, 3))
    weekends_closed = bool(np.isin(days[weekend], closed).all())
    if weekends_closed:
        closed = closed[~np.isin(closed % 7, (2, 3))]
    exclusions = [dt.datetime.combine(date_of(day), dt.time()) for day in closed]
    with beta_parameters():
        return dg.DailyPartitionsDefinition(
            start_date=str(universe.start),
            end_date=str(universe.end + dt.timedelta(days=1)) if universe.end else None,
            exclusions=[*([_WEEKEND] if weekends_closed else []), *exclusions] or None,
            # A day is over for Dagster at its UTC midnight; most sessions are some hours before, and are loaded then.
            end_offset=1,
        )


class RegisteredPartitions(dg.DynamicPartitionsDefinition):
    """Dynamic partitions that say which keys of a range are not registered."""

    def get_partition_keys_in_range(self, partition_key_range: dg.PartitionKeyRange) -> Sequence[str]:
        """Return the keys from start to end, in the order in which they were registered."""
        with one_clear_message():
            unknown = sorted({key for key in (partition_key_range.start, partition_key_range.end) if not self.has_partition_key(key)})
            if unknown:
                raise InvalidPartition(
                    f"No partition of {self.name} is called {' or '.join(map(repr, unknown))}. {self._there_are()} "
                    "What is new in the watchlist or in backtests/ is made known by: "
                    "dagster job execute -m market_data_pipeline.definitions -j watchlist_partitions "
                    "(with DAGSTER_HOME set to the instance of the page)."
                )
        return super().get_partition_keys_in_range(partition_key_range)

    def _there_are(self) -> str:
        known = list(self.get_partition_keys())
        return f"There are: {', '.join(known[:10])}{' …' if len(known) > 10 else ''}." if known else "There are none yet."


@dataclass(frozen=True)
class UniversePartitions:
    """The partitions definitions of one universe.

    Attributes:
        name: The universe's name.
        universe: The universe.
        instruments: Dynamic partitions, so that a new symbol needs no reloading of code.
    """

    name: str
    universe: Universe
    instruments: dg.DynamicPartitionsDefinition

    @classmethod
    def of(cls, name: str, universe: Universe) -> UniversePartitions:
        """Make them for a universe."""
        return cls(name, universe, RegisteredPartitions(name=f"{name}_instruments"))

    def bars(self, spec: str) -> dg.MultiPartitionsDefinition:
        """Return {date} x {instrument} of a bar spec."""
        partitions = self

        class SessionsOfInstruments(dg.MultiPartitionsDefinition):
            """Refuses ranges that cannot be meant."""

            def get_partition_keys_in_range(  # type: ignore[override]  # Dagster's own method is typed like this
                self, partition_key_range: dg.PartitionKeyRange, dynamic_partitions_store: DynamicPartitionsStore | None = None
            ) -> Sequence[str]:
                with one_clear_message():
                    for key in (partition_key_range.start, partition_key_range.end):
                        check_session_key(partitions, spec, key)
                return super().get_partition_keys_in_range(partition_key_range, dynamic_partitions_store)

        return SessionsOfInstruments({"date": session_partitions(self.universe, spec), "instrument": self.instruments})

    def register(self, instance: dg.DagsterInstance) -> list[str]:
        """Make a partition of each instrument of the watchlist; return those that are new."""
        return register(instance, self.instruments, self.universe.instruments)


def register(instance: dg.DagsterInstance, definition: dg.DynamicPartitionsDefinition, keys: Sequence[str]) -> list[str]:
    """Add keys to dynamic partitions; return those that are new."""
    assert definition.name is not None
    known = set(instance.get_dynamic_partitions(definition.name))
    new = [key for key in keys if key not in known]
    if new:
        instance.add_dynamic_partitions(definition.name, new)
    return new


def unbroken(registered: Sequence[str], wanted: Collection[str]) -> list[tuple[str, str]]:
    """Return first and last of each unbroken run of wanted keys, in the order of registration, which is the order of ranges."""
    runs = (list(run) for is_wanted, run in groupby(registered, key=set(wanted).__contains__) if is_wanted)
    return [(run[0], run[-1]) for run in runs]


def range_tags(first: str, last: str) -> dict[str, str]:
    """Return the tags that make one run of a range of partitions, both ends included."""
    return {RANGE_START_TAG: first, RANGE_END_TAG: last}


def asked_sessions(context: dg.AssetExecutionContext, partitions: UniversePartitions, spec: str) -> dict[str, list[dt.date]]:
    """Return the sessions that a run was asked for, by instrument.

    Raises:
        InvalidPartition: If the run has no partition, or one that names no session or no instrument of the universe.
    """
    example = f"{universe_example(partitions, spec)}|{partitions.universe.instruments[0]}"
    for key in _tagged_keys(context, example):
        check_session_key(partitions, spec, key)
    partitions.register(context.instance)
    last = partitions.universe.last_session(spec)
    asked: dict[str, list[dt.date]] = {}
    running: set[dt.date] = set()
    for key in context.partition_keys:
        dimensions = _dimensions(key)
        session = parse_date(dimensions["date"])
        if last is None or session > last:
            running.add(session)
        else:
            asked.setdefault(dimensions["instrument"], []).append(session)
    if running and not asked:
        raise InvalidPartition(f"The session {min(running)} has not ended yet. The last one of {partitions.name} that has is {last}.")
    if running:
        context.log.info(f"The session {min(running)} has not ended yet and is left out.")
    return asked


def asked_instruments(context: dg.AssetExecutionContext, partitions: UniversePartitions) -> list[str]:
    """Return the instruments that a run was asked for.

    Raises:
        InvalidPartition: If the run has no partition, or names an instrument that is not of the universe.
    """
    for key in _tagged_keys(context, partitions.universe.instruments[0]):
        _check_instrument(partitions, key)
    partitions.register(context.instance)
    return list(context.partition_keys)


def asked_names(
    context: dg.AssetExecutionContext, definition: dg.DynamicPartitionsDefinition, known: Sequence[str], what: str, where: str
) -> list[str]:
    """Return the names that a run was asked for, of partitions whose keys are `known`.

    Raises:
        InvalidPartition: If the run has none, or one that is not known.
    """
    for key in _tagged_keys(context, known[0] if known else "NAME"):
        if key not in known:
            raise InvalidPartition(f"{key!r} is no {what} of {where}. There are: {', '.join(known) or 'none'}.")
    register(context.instance, definition, known)
    return list(context.partition_keys)


def _tagged_keys(context: dg.AssetExecutionContext, example: str) -> list[str]:
    tags = context.run.tags
    if PARTITION_TAG in tags:
        return [tags[PARTITION_TAG]]
    if RANGE_START_TAG in tags and RANGE_END_TAG in tags:
        return [tags[RANGE_START_TAG], tags[RANGE_END_TAG]]
    raise no_partition_named(example)


def no_partition_named(example: str) -> InvalidPartition:
    """Return the error of a run that names no partition, with an example of one."""
    return InvalidPartition(
        f'No partition was named, so it is not clear what to make. Name one: --tags \'{{"{PARTITION_TAG}": "{example}"}}\', or a range: '
        f'--tags \'{{"{RANGE_START_TAG}": "{example}", "{RANGE_END_TAG}": "{example}"}}\'.'
    )


def check_session_key(partitions: UniversePartitions, spec: str, key: str) -> None:
    """Refuse a key that is not DATE|INSTRUMENT of the universe.

    Raises:
        InvalidPartition: With what may stand there.
    """
    date, bar, instrument = key.partition("|")
    if not bar:
        example = f"{universe_example(partitions, spec)}|{partitions.universe.instruments[0]}"
        raise InvalidPartition(f"{key!r} is no partition of this job. Write DATE|INSTRUMENT, for example {example}.")
    _check_session(partitions, spec, date)
    _check_instrument(partitions, instrument)


def _check_session(partitions: UniversePartitions, spec: str, text: str) -> None:
    universe = partitions.universe
    sessions = universe.partitions(spec)
    try:
        date = parse_date(text)
        sessions.window(date)
    except InvalidDate as error:
        raise InvalidPartition(str(error)) from None
    last = universe.last_session(spec)
    # The page has a partition of the session that is running, too, and "all partitions" end with it.
    newest = sessions.positions_between(last or universe.start, universe.end or dt.date.max)[:2]
    if date < universe.start or not newest or date > date_of(sessions.days[newest[-1]]):
        raise InvalidPartition(f"{date} lies outside the universe {partitions.name}, which holds sessions from {universe.start} to {last}.")


def _check_instrument(partitions: UniversePartitions, instrument: str) -> None:
    names = partitions.universe.instruments
    if instrument not in names:
        shown = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
        raise InvalidPartition(
            f"{instrument!r} is no instrument of the universe {partitions.name}: {shown}. Add it to the watchlist, or correct the partition."
        )


def universe_example(partitions: UniversePartitions, spec: str) -> dt.date:
    """Return a session of the universe for examples in messages: its newest."""
    return partitions.universe.last_session(spec) or partitions.universe.start


def _dimensions(key: str) -> Mapping[str, str]:
    assert isinstance(key, dg.MultiPartitionKey)
    return key.keys_by_dimension
