"""The job `calendar_against_broker`, and its weekly schedule: the broker's own schedule against each calendar of the watchlist."""

# No `from __future__ import annotations`: Dagster reads the annotations of ops as they are.

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from market_data_pipeline.domain.errors import ConfigurationError, MarketDataError, SourceRefused, SourceUnavailable
from market_data_pipeline.domain.words import count
from market_data_pipeline.orchestration.broker import IbkrResource
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.partitions import UniversePartitions
from market_data_pipeline.orchestration.revised import is_asked_of_the_broker
from market_data_pipeline.orchestration.weekly import weekly_schedule

if TYPE_CHECKING:
    from market_data_pipeline.ingest.calendar_check import CalendarCheck

JOB = "calendar_against_broker"
SCHEDULE = "weekly_calendar_check"
_WEEKLY, _ZONE = "0 13 * * 6", "America/New_York"


class CalendarAgainstBroker(dg.Config):
    """What the job `calendar_against_broker` is asked for."""

    days: int = Field(default=30, ge=1, le=3650, description="How many days back, from yesterday by the broker's clock.")
    instruments: list[str] = Field(default=[], description="Instrument ids to ask about; none is one of each calendar that asks the broker.")


def instruments_of(universes: Sequence[UniversePartitions], config: CalendarAgainstBroker) -> list[str]:
    """Return whom the broker is asked about: the first instrument of each calendar, unless the configuration names some.

    Raises:
        ConfigurationError: If it names one that no universe of the broker has.
    """
    asking = [one for one in universes if any(is_asked_of_the_broker(one, spec) for spec in one.universe.bars)]
    known = [instrument for one in asking for instrument in one.universe.instruments]
    if missing := [name for name in config.instruments if name not in known]:
        raise ConfigurationError(f"No universe that asks the broker has {', '.join(missing)}. Those that do have: {', '.join(known[:20]) or 'none'}.")
    first: dict[str, str] = {}
    for one in asking:
        first.setdefault(one.universe.calendar, one.universe.instruments[0])
    return config.instruments or list(first.values())


def calendar_check_job(universes: Sequence[UniversePartitions]) -> dg.JobDefinition:
    """Make the job `calendar_against_broker`."""

    @dg.op(description="Asks the broker for its sessions of one instrument a calendar, and compares. Fails where something differs.")
    def compared(context: dg.OpExecutionContext, config: CalendarAgainstBroker, ibkr: IbkrResource) -> dg.Output[int]:
        with one_clear_message(), ibkr.for_run() as gateway:
            from market_data_pipeline.ingest.calendar_check import check_calendar

            found: list[CalendarCheck] = []
            failures: list[str] = []
            for name in instruments_of(universes, config):
                try:
                    start = _today(gateway().now_ns()) - dt.timedelta(days=config.days)
                    check = check_calendar(gateway(), name, start, None)
                except SourceUnavailable:
                    raise
                except MarketDataError as error:
                    failures.append(f"{name}: {error}")
                    continue
                found.append(check)
                context.log.info(
                    f"{check.calendar.name} by {name}: {count(len(check.found), 'difference')}, {check.start} to {check.end}, "
                    f"{check.ours} and {count(check.theirs, 'session')}."
                )
            differing = [_words(check) for check in found if check.found]
            if differing or failures:
                raise SourceRefused(" ".join([*differing, *failures]))
            return dg.Output(sum(check.ours for check in found), metadata={"calendars": len(found), "differences": 0})

    @dg.job(
        name=JOB,
        description=(
            "Compares each calendar of the universes that ask the broker with the broker's own schedule of one instrument, over the last 30 days. "
            'Fails with what differs and the command that lets the calendar follow the broker. Configuration: {"days": 30}.'
        ),
        config=dg.RunConfig(ops={"compared": CalendarAgainstBroker()}),
    )
    def calendar_against_broker() -> None:
        compared()

    return calendar_against_broker


def calendar_check_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Make the schedule `weekly_calendar_check`, off by default: it needs a broker."""
    return weekly_schedule(SCHEDULE, job, _WEEKLY, _ZONE, "Compares the calendars with the broker's own schedule, on Saturdays at 13:00 in New York.")


def _today(now_ns: int) -> dt.date:
    return dt.datetime.fromtimestamp(now_ns // 1_000_000_000, dt.UTC).date()


def _words(check: "CalendarCheck") -> str:
    from market_data_pipeline.ingest.calendar_check import words_of

    zone = check.calendar.time_zone
    told = "; ".join(
        f"{one.date}: ours {words_of(one.ours, one.date, zone)}, IBKR {words_of(one.theirs, one.date, zone)}" for one in check.found[:10]
    )
    return (
        f"The calendar {check.calendar.name} differs from IBKR's schedule of {check.instrument_id} on {count(len(check.found), 'date')} ({told}). "
        f"If the broker is right: mdp calendar check {check.instrument_id} --start {check.start} --end {check.end} --write"
    )
