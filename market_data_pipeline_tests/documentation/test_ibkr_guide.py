"""docs/ibkr.md names what the code knows: every message code, every variable, every size."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from market_data_pipeline.domain.request_sizes import DOCUMENTED
from market_data_pipeline.sources.ibkr.codes import _CODES, _FARMS
from market_data_pipeline.sources.ibkr.settings import IbkrSettings
from market_data_pipeline_tests.conftest import REPOSITORY

GUIDE = (REPOSITORY / "docs" / "ibkr.md").read_text(encoding="utf-8")
# Only tests and a second copy of the project on one machine need them.
_UNTOLD = {"IB_WAIT_SCALE"}


@pytest.mark.parametrize("code", sorted({*_CODES, *_FARMS, 162, 420}))
def test_every_code_that_is_treated_has_a_line(code: int) -> None:
    rows = [line for line in GUIDE.splitlines() if line.startswith("|") and re.search(rf"\b{code}\b", line.split("|")[1])]
    assert rows, f"docs/ibkr.md says nothing of error {code}"


@pytest.mark.parametrize("setting", [one.name for one in fields(IbkrSettings) if "variable" in one.metadata])
def test_every_variable_has_a_line_with_its_default(setting: str) -> None:
    each = next(one for one in fields(IbkrSettings) if one.name == setting)
    variable = each.metadata["variable"]
    if variable in _UNTOLD:
        return
    (row,) = [line for line in GUIDE.splitlines() if line.startswith(f"| `{variable}` |")]
    default = each.default
    if default is not None:
        assert f"`{default:g}`" in row if isinstance(default, float) else f"`{default}`" in row


def test_the_sizes_are_those_of_the_documented_profile() -> None:
    table = GUIDE[GUIDE.index("| bars of |") : GUIDE.index("`observed` is what")]
    assert str(DOCUMENTED.name) == "documented"
    for bar, longest in (("1 minute", "1 day"), ("5 minutes", "1 week"), ("1 day", "1 year"), ("30 seconds", "8 hours")):
        assert f"| {bar} | {longest} |" in table
