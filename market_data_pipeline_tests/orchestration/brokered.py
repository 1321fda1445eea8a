"""A project whose bars come from a simulated gateway in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from market_data_pipeline_tests.gateway import RunningGateway
from market_data_pipeline_tests.orchestration.conftest import Project, opened, write_project


@contextmanager
def brokered_project(root: Path, gateway: RunningGateway, universes: str, specs: dict[str, str] | None = None) -> Iterator[Project]:
    """Open a project that asks a gateway, with client ids and a pacing table of its own, for as long as the block runs.

    Args:
        root: Its folder.
        gateway: Whom it asks.
        universes: What its watchlist says, as YAML.
        specs: Backtest specs by name, besides the usual one.
    """
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("IB_PORT", str(gateway.port))
        environment.setenv("IB_STATE", str(root / "state"))
        environment.setenv("IB_PACING_DB", str(root / "pacing.sqlite"))
        environment.setenv("IB_WAIT_SCALE", "0.01")
        write_project(root)
        (root / "watchlist.yaml").write_text(universes)
        for name, spec in (specs or {}).items():
            (root / "backtests" / f"{name}.yaml").write_text(spec)
        with opened(root) as project:
            yield project
