"""What the page shows explains itself: nothing that Dagster lists lacks a description, a group, a kind or an owner."""

from __future__ import annotations

import dagster as dg
import pytest

from market_data_pipeline.definitions import assemble
from market_data_pipeline_tests.orchestration.conftest import places_of, write_project

_MADE_BY_DAGSTER = ("__ASSET_JOB", "__ANONYMOUS_ASSET_JOB", "default_automation_condition_sensor")


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """Everything that the project assembles."""
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    return assemble(places_of(root))


def test_every_asset_says_what_it_is_whose_it_is_and_where_it_belongs(definitions: dg.Definitions) -> None:
    specs = definitions.resolve_all_asset_specs()
    assert len(specs) >= 5
    for spec in specs:
        assert len(spec.description or "") > 20, spec.key
        assert spec.group_name not in (None, "default"), spec.key
        assert spec.kinds, spec.key
        assert spec.owners, spec.key


def test_every_check_job_op_sensor_schedule_and_resource_has_a_description(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    without = [f"check {spec.key}" for check in repository.asset_checks_defs_by_key.values() for spec in check.check_specs if not spec.description]
    for job in repository.get_all_jobs():
        if job.name in _MADE_BY_DAGSTER:
            continue
        without += [f"job {job.name}"] if not job.description else []
        without += [f"op {node.name}" for node in job.all_node_defs if not node.description and node.name != job.name]
    for kind, found in (("sensor", repository.sensor_defs), ("schedule", repository.schedule_defs)):
        without += [f"{kind} {one.name}" for one in found if one.name not in _MADE_BY_DAGSTER and not one.description]
    for name, resource in repository.get_top_level_resources().items():
        without += [f"resource {name}"] if not resource.description else []
    assert without == []


def test_every_field_of_a_configuration_says_what_it_means(definitions: dg.Definitions) -> None:
    without, seen = [], set()
    for job in definitions.get_repository_def().get_all_jobs():
        for node in job.all_node_defs:
            schema = node.config_schema.config_type if isinstance(node, dg.OpDefinition) else None
            for name, field in getattr(schema, "fields", {}).items():
                seen.add(name)
                without += [f"{node.name}: {name}"] if not field.description else []
    assert without == []
    assert {"refetch", "wait_s", "spec", "instrument", "start"} <= seen


def test_what_a_trader_opens_first_is_on_by_itself_and_needs_no_broker(definitions: dg.Definitions) -> None:
    running = {one.name for one in definitions.get_repository_def().sensor_defs if one.default_status is dg.DefaultSensorStatus.RUNNING}
    assert {"refresh", "notify_failures", "notify_gaps"} <= running
