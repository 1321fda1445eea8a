"""The gateway's container: read-only, on loopback, no secret in the repository."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from market_data_pipeline_tests.conftest import REPOSITORY

DEPLOY = REPOSITORY / "deploy"


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text(encoding="utf-8"))
    (name,) = content["services"]
    assert name == "ib-gateway"
    found: dict[str, Any] = content["services"][name]
    return found


def test_the_api_is_read_only(service: dict[str, Any]) -> None:
    assert service["environment"]["READ_ONLY_API"] == "yes"


def test_ports_are_ibkrs_own_and_open_on_this_machine_only(service: dict[str, Any]) -> None:
    assert [port.rsplit(":", 1)[0] for port in service["ports"]] == ["127.0.0.1:4001", "127.0.0.1:4002"]


def test_credentials_come_from_a_file_that_git_does_not_see(service: dict[str, Any]) -> None:
    for name in ("TWS_USERID", "TWS_PASSWORD"):
        assert service["environment"][name].startswith("${" + name + ":?")
        assert re.search(rf"^{name}=$", (DEPLOY / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    ignored = subprocess.run(["git", "check-ignore", "-q", "deploy/.env"], cwd=REPOSITORY)
    if ignored.returncode == 128:
        pytest.skip("not a git checkout")
    assert ignored.returncode == 0


def test_every_variable_of_the_compose_file_is_in_the_example() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "docker-compose.yml").read_text(encoding="utf-8")))
    assert asked == set(re.findall(r"^#? ?([A-Z_]+)=", (DEPLOY / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
