"""Errors that are meant for a person reach the run's page as one message, without a stack trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

# Neither is exported by Dagster.
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo

from market_data_pipeline.domain.errors import MarketDataError


class ClearFailure(DagsterUserCodeProcessError, click.ClickException):
    """A `MarketDataError` on its way to a person.

    Dagster forwards errors of user processes as they are, without a stack; and click, behind `dagster job execute`, prints its own errors
    as one line, also where a run is refused before it exists.
    """

    def __init__(self, error: MarketDataError) -> None:
        name = type(error).__name__
        info = SerializableErrorInfo(message=f"{name}: {error}\n", stack=[], cls_name=name)
        super().__init__(str(error), user_code_process_error_infos=[info])  # type: ignore[no-untyped-call]


@contextmanager
def one_clear_message() -> Iterator[None]:
    """Let a `MarketDataError` fail a step, or refuse a run, with its message alone."""
    try:
        yield
    except MarketDataError as error:
        raise ClearFailure(error) from error
