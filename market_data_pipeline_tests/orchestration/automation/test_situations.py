"""Each sensor of the definitions is tried in each situation: a new sensor without such tests fails here."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from market_data_pipeline_tests.orchestration import automation
from market_data_pipeline_tests.orchestration.automation.situations import Situation
from market_data_pipeline_tests.orchestration.conftest import Project


def tried() -> Iterator[tuple[str, Situation]]:
    for module in pkgutil.iter_modules(automation.__path__, f"{automation.__name__}."):
        if not module.name.rpartition(".")[2].startswith("test_"):
            continue
        for name, test in vars(importlib.import_module(module.name)).items():
            for mark in getattr(test, "pytestmark", ()) if name.startswith("test_") else ():
                if mark.name == "situation":
                    sensor, *situations = mark.args
                    yield from ((sensor, situation) for situation in situations)


def test_each_sensor_is_tried_in_each_situation(project: Project) -> None:
    sensors = [sensor.name for sensor in project.definitions.get_repository_def().sensor_defs]
    assert len(sensors) == 9
    found = set(tried())
    untried = [f"{sensor}: {situation.value}" for sensor in sensors for situation in Situation if (sensor, situation) not in found]
    assert untried == []
    assert {sensor for sensor, _ in found} <= set(sensors), "a mark names a sensor that is none"
