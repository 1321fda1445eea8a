from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from market_data_pipeline.configuration import Section, read_yaml
from market_data_pipeline.domain.errors import ConfigurationError


class Leg(Section):
    symbol: str
    size: Decimal = Decimal(1)


class Plan(Section):
    name: str
    start: dt.date | None = None
    legs: list[Leg] = []  # noqa: RUF012  pydantic copies defaults


def read(folder: Path, text: str) -> Plan:
    file = folder / "plan.yaml"
    file.write_text(text, encoding="utf-8")
    return read_yaml(file, Plan)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read(folder, text)
    return str(refused.value)


def test_a_number_keeps_its_decimals(tmp_path: Path) -> None:
    """0.10 has two decimals, which a float would lose."""
    plan = read(tmp_path, "name: a\nlegs:\n  - symbol: AAPL\n    size: 0.10\n")
    assert str(plan.legs[0].size) == "0.10"


def test_an_unknown_key_is_named_with_its_line(tmp_path: Path) -> None:
    message = refusal(tmp_path, "name: a\nlegs:\n  - symbol: AAPL\n    colour: red\n")
    assert "plan.yaml, line 4: legs[0].colour: is no key known here" in message


def test_a_mistyped_key_is_told_once_with_the_key_that_was_meant(tmp_path: Path) -> None:
    assert refusal(tmp_path, "nme: a\nlegs:\n  - symbl: AAPL\n").splitlines() == [
        f"{tmp_path / 'plan.yaml'}, line 3: legs[0].symbl: is no key known here. Did you mean symbol?",
        f"{tmp_path / 'plan.yaml'}, line 1: nme: is no key known here. Did you mean name?",
    ]


def test_a_missing_key_is_named_with_the_line_of_what_lacks_it(tmp_path: Path) -> None:
    assert "plan.yaml, line 3: legs[0].symbol: is missing" in refusal(tmp_path, "name: a\nlegs:\n  - size: 2\n")


@pytest.mark.parametrize(("bare", "read_as"), [("NO", "false"), ("ON", "true"), ("10:30", "int 630"), ("2024-01-02", "date 2024-01-02")])
def test_what_yaml_takes_for_something_else_must_stand_in_quotes(tmp_path: Path, bare: str, read_as: str) -> None:
    """NO is Norway's code and a share on the NYSE; YAML 1.1 says false. 10:30 is 10 * 60 + 30 there."""
    assert f'line 1: name: must be text, and YAML reads a bare {bare} as {read_as}. Write it in quotes: "{bare}"' in refusal(
        tmp_path, f"name: {bare}\n"
    )
    assert read(tmp_path, f'name: "{bare}"\n').name == bare


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, "name: NO\nlegs:\n  - symbol: 1\n  - {}\n")
    assert [line.partition(": ")[0].rpartition(" ")[2] for line in message.splitlines()] == ["1", "3", "4"]


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """YAML readers silently keep the last."""
    assert "line 2: name stands twice; the first is in line 1" in refusal(tmp_path, "name: a\nname: b\n")


def test_a_day_that_does_not_exist_is_told_with_its_line(tmp_path: Path) -> None:
    told = "line 2: start: must be a date, YYYY-MM-DD, not 2023-02-29 (day value is outside expected range)"
    assert told in refusal(tmp_path, "name: a\nstart: 2023-02-29\n")


@pytest.mark.parametrize(
    ("legs", "told"),
    [("AAPL", "legs: must be a list: [AAPL]"), ("", "legs: must be a list: [A, B], or a line"), ("[AAPL]", "legs[0]: must hold keys of its own")],
)
def test_a_value_of_another_shape_is_told_with_the_shape(tmp_path: Path, legs: str, told: str) -> None:
    assert f"line 2: {told}" in refusal(tmp_path, f"name: a\nlegs: {legs}\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("name: [", "line 2: not valid YAML"),
        ("- 1\n", "line 1: the file"),
        ("name: !!python/object:os.system x\n", "not valid YAML"),
    ],
)
def test_what_is_no_such_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    assert told in refusal(tmp_path, text + "\n")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With what lies beside it: most often the name was mistyped."""
    with pytest.raises(ConfigurationError, match=r"There is no file .*absent\.yaml\. No \*\.yaml is in "):
        read_yaml(tmp_path / "absent.yaml", Plan)
    (tmp_path / "present.yaml").touch()
    with pytest.raises(ConfigurationError, match=r"There is no file .*absent\.yaml\. In .* are: present\.yaml\."):
        read_yaml(tmp_path / "absent.yaml", Plan)
    with pytest.raises(ConfigurationError, match=r"There is no folder .* either"):
        read_yaml(tmp_path / "nowhere" / "absent.yaml", Plan)
