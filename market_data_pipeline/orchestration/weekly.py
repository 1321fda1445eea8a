"""Schedules of work that is done once a week, when the venues rest."""

from __future__ import annotations

import dagster as dg


def weekly_schedule(name: str, job: dg.JobDefinition, cron: str, zone: str, description: str) -> dg.ScheduleDefinition:
    """Make a weekly schedule of a job. Stopped by default: such work asks a broker, or moves files that others may read.

    Args:
        name: Its name.
        job: What it launches, with the job's own configuration.
        cron: When, for example `0 12 * * 6`: Saturdays at noon.
        zone: Whose clock that is, for example America/New_York.
        description: For the page.
    """
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone=zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=description,
    )
