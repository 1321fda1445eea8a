from __future__ import annotations

from pathlib import Path

import pytest

from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.domain.pacing import RELAXED, STRICT, PacingRules
from market_data_pipeline.pacing import read_profile


def test_two_profiles_have_names() -> None:
    assert read_profile("strict") is STRICT
    assert read_profile("relaxed") is RELAXED


def test_what_a_file_leaves_out_is_strict(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("small_bars:\n  requests: 50\nlarge_bars:\n  requests: 300\n  window_s: 300.5\nopen: 40\n")
    profile = read_profile(str(file))
    assert profile.name == "mine"
    assert profile.small == PacingRules(requests=50)
    assert profile.large == PacingRules(requests=300, window_s=300.5)
    assert (profile.open, profile.messages, profile.large_from_s) == (40, STRICT.messages, 60)


def test_an_empty_mapping_is_strict(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: strict\n")
    assert read_profile(str(file)) == STRICT


def test_a_file_may_scale_all_times(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: strict\nscale: 0.01\n")
    assert read_profile(str(file)) == STRICT.scaled(0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("large_bars:\n  request: 3\n", r"line 2: large_bars\.request: is no key known here"),
        ("open: 99\n", "line 1: open: .*50"),
        ("small_bars:\n  requests: 0\n", r"line 2: small_bars\.requests"),
        ("delay_share: 2\n", "line 1: delay_share"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_profile(str(file))


def test_a_name_that_is_not_known_lists_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match=r"IB_PACING: 'lax' is not known\. Write strict, relaxed, or name a YAML file"):
        read_profile("lax")
    with pytest.raises(ConfigurationError, match="There is no file"):
        read_profile("missing.yaml")
