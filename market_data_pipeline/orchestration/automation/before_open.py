"""Before the open: a schedule for each calendar of the strategies' series, which has their history in the catalog when the node starts."""

# No `from __future__ import annotations`: Dagster reads the annotations of schedules as they are.

from functools import lru_cache

import dagster as dg

from market_data_pipeline.calendars import calendar_named
from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.domain.sessions import SessionCalendar
from market_data_pipeline.orchestration.automation.after_close import SESSION_TAG
from market_data_pipeline.orchestration.automation.due_times import MINUTE_NS, Due, DueTimes
from market_data_pipeline.orchestration.automation.launchable import RELOAD
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.failures import one_clear_message
from market_data_pipeline.orchestration.warm_up import JOB, known_strategies, run_config_for

MINUTES_BEFORE = 30
"""How long before the regular open of a session its history is brought."""


def before_open(calendar_name: str) -> DueTimes:
    """Return when the history of each session is brought: `MINUTES_BEFORE` its regular open, in whole minutes."""
    return _before_open(calendar_named(calendar_name))


@lru_cache(maxsize=16)
def _before_open(calendar: SessionCalendar) -> DueTimes:
    return DueTimes(calendar.days, calendar.open_ns // MINUTE_NS * MINUTE_NS - MINUTES_BEFORE * MINUTE_NS, calendar.time_zone)


def before_open_schedules(places: Places) -> list[dg.ScheduleDefinition]:
    """Make a schedule `warm_up_<calendar>` for each calendar of the strategies' series; none where there is no file of strategies.

    Each launches the job `warm_up` for the series of its calendar half an hour before each regular open. A session is prepared once, however often
    its tick comes. They are off until somebody switches them on: they need a broker.

    Raises:
        ConfigurationError: If the file is wrong; the message names file, line and key.
    """
    file = known_strategies(places)
    return [] if file is None else [_schedule(places, name) for name in file.calendars]


def _schedule(places: Places, calendar: str) -> dg.ScheduleDefinition:
    due = before_open(calendar)

    @dg.schedule(
        name=f"{JOB}_{calendar.lower()}",
        job_name=JOB,
        cron_schedule=sorted(due.crons()),
        execution_timezone=due.time_zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=(
            f"Brings what the strategies of config/strategies.yaml need of series that trade by the calendar {calendar}, {MINUTES_BEFORE} minutes "
            "before the regular open of each session; not on holidays. A tick before which no session opens says which is next."
        ),
    )
    def warm_up(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        with one_clear_message():
            tick_ns = round(context.scheduled_execution_time.timestamp()) * NANOSECONDS
            session = due.session_at(tick_ns)
            if session is None:
                return dg.SkipReason(_nothing_due(calendar, due.around(tick_ns)[1]))
            file = known_strategies(places)
            if file is None or calendar not in file.calendars:
                return dg.SkipReason(f"{places.strategies} names no series of the calendar {calendar} any more: {RELOAD}.")
        return dg.RunRequest(run_key=f"{JOB}/{calendar}/{session}", run_config=run_config_for(calendar), tags={SESSION_TAG: str(session)})

    return warm_up


def _nothing_due(calendar: str, after: Due | None) -> str:
    if after is None:
        return f"{calendar} knows no later session."
    return f"No session of {calendar} opens now; the next one is {after.session} (prepared at {after.at:%Y-%m-%d %H:%M %Z})."
