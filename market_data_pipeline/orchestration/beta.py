"""Dagster warns of each parameter in beta at each use; the pin on its minor version is our answer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg


@contextmanager
def beta_parameters() -> Iterator[None]:
    """Use `backfill_policy` and `exclusions` without a warning on every start."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield
