"""Calendars are computed here, never read from the user's cache: a stale cache must not answer for the code under test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from market_data_pipeline import calendars


@pytest.fixture(scope="package", autouse=True)
def fresh_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    _forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
    _forget()


def _forget() -> None:
    for remembered in (calendars._as_published, calendars._calendar, calendars._partitions, calendars._partitions_on):
        remembered.cache_clear()
