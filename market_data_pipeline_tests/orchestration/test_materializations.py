# No `from __future__ import annotations`: Dagster reads the annotations of assets as they are.

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent

from market_data_pipeline.orchestration.materializations import Materializations
from market_data_pipeline_tests.orchestration.conftest import Project

_KEYS = [str(number) for number in range(60)]


def test_a_cancel_in_the_middle_of_a_batch_loses_no_materialization(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is terminated gets its interrupt at any line: here while the thirtieth of sixty events is made."""
    made, calls = DagsterEvent.asset_materialization, 0

    def interrupted_once(*given: object) -> DagsterEvent:
        nonlocal calls
        calls += 1
        if calls == 30:
            raise KeyboardInterrupt
        return made(*given)  # type: ignore[arg-type]

    @dg.asset(name="many", output_required=False)
    def many(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def] # a generator that yields nothing: Dagster reads its annotations
        shown = Materializations(context)
        shown._told_at = float("inf")  # none at once: all in one batch
        for key in _KEYS:
            shown.add(dg.AssetMaterialization("many", partition=key))
        monkeypatch.setattr(DagsterEvent, "asset_materialization", staticmethod(interrupted_once))
        with pytest.raises(KeyboardInterrupt):
            shown.tell()
        shown.tell()
        yield from ()

    assert dg.materialize([many], instance=project.instance).success
    assert project.instance.get_materialized_partitions(dg.AssetKey("many")) == set(_KEYS)
