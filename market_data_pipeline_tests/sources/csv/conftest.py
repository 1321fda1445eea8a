"""A file written and opened in one line, and closed at the end of the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.quality import HoleRule
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.sources.csv import CsvBars, CsvLayout, CsvSource
from market_data_pipeline_tests.instants import ns

NOW = ns("2026-01-01 00:00")


class Read(Protocol):
    """Writes texts to files and opens them as bars of one series."""

    def __call__(
        self,
        *texts: str | bytes | Path,
        bars: str = "BTC/USDT.BINANCE-1-MINUTE-LAST",
        precision: tuple[int, int] = (2, 0),
        layout: CsvLayout | None = None,
        time_zone: str | None = None,
        stamp: str | None = "open",
        skip_bad_rows: bool = False,
        rejects_dir: Path | None = None,
        accept_holes: bool = False,
        hole_rule: HoleRule = ...,
        delimiter: str | None = None,
        now: int = NOW,
    ) -> CsvBars: ...


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Read]:
    with ExitStack() as stack:

        def open_(
            *texts: str | bytes | Path,
            bars: str = "BTC/USDT.BINANCE-1-MINUTE-LAST",
            precision: tuple[int, int] = (2, 0),
            layout: CsvLayout | None = None,
            time_zone: str | None = None,
            stamp: str | None = "open",
            skip_bad_rows: bool = False,
            rejects_dir: Path | None = None,
            accept_holes: bool = False,
            hole_rule: HoleRule = HoleRule(),  # noqa: B008 - frozen
            delimiter: str | None = None,
            now: int = NOW,
        ) -> CsvBars:
            paths = [text if isinstance(text, Path) else written(tmp_path / f"{'abcdef'[i]}.csv", text) for i, text in enumerate(texts)]
            series = Series.parse(f"{bars}-EXTERNAL")
            source = stack.enter_context(
                CsvSource(
                    paths,
                    layout,
                    time_zone=time_zone,
                    stamp=stamp,
                    skip_bad_rows=skip_bad_rows,
                    rejects_dir=rejects_dir,
                    accept_holes=accept_holes,
                    hole_rule=hole_rule,
                    delimiter=delimiter,
                    clock=lambda: now,
                )
            )
            return source.open(series, partitions_of(series), Precision(*precision))

        yield open_


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path
