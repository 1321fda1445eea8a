"""A list in a YAML file is edited and every other character stays."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.configuration import add_items, remove_items
from market_data_pipeline.domain.errors import ConfigurationError

PATH = ("universes", "stocks", "instruments")

FLOW = """# What is wanted.
universes:
  stocks:
    bars: ["1-MINUTE-LAST"]   # one spec
    instruments: ["AAPL.NASDAQ", MSFT.NASDAQ]  # two of them
    source: ibkr
"""
BLOCK = """universes:
  stocks:
    instruments:
      # the large ones
      - "AAPL.NASDAQ"  # phones
      - MSFT.NASDAQ

      - 'SPY.ARCA'     # a fund
    source: ibkr   # last
"""
FLOW_OF_LINES = """universes:
  stocks:
    instruments: [
      "AAPL.NASDAQ",  # phones
      "MSFT.NASDAQ",  # windows
    ]
    source: ibkr
"""


def add(text: str, *items: str) -> str:
    return add_items(text, PATH, items, "w.yaml")


def remove(text: str, *items: str) -> str:
    return remove_items(text, PATH, items, "w.yaml")


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (FLOW, "MSFT.NASDAQ]", 'MSFT.NASDAQ, "AMD.NASDAQ"]'),
        (BLOCK, "     # a fund\n", '     # a fund\n      - "AMD.NASDAQ"\n'),
        (FLOW_OF_LINES, "  # windows\n", '  # windows\n      "AMD.NASDAQ",\n'),
        (FLOW_OF_LINES.replace('"MSFT.NASDAQ",', '"MSFT.NASDAQ"'), '"MSFT.NASDAQ"  # windows\n', '"MSFT.NASDAQ",  # windows\n      "AMD.NASDAQ"\n'),
        (FLOW_OF_LINES.replace(",  # windows\n    ]", "]"), '"MSFT.NASDAQ"]', '"MSFT.NASDAQ",\n      "AMD.NASDAQ"]'),
        (FLOW.replace("MSFT.NASDAQ]", "MSFT.NASDAQ, ]"), "MSFT.NASDAQ, ]", 'MSFT.NASDAQ, "AMD.NASDAQ", ]'),
        (FLOW.replace('["AAPL.NASDAQ", MSFT.NASDAQ]', "[]"), "[]", '["AMD.NASDAQ"]'),
        (BLOCK.replace("    source: ibkr   # last\n", "").rstrip(), "     # a fund", '     # a fund\n      - "AMD.NASDAQ"\n'),
        (FLOW.replace("\n", "\r\n"), "MSFT.NASDAQ]", 'MSFT.NASDAQ, "AMD.NASDAQ"]'),
        (BLOCK.replace("\n", "\r\n"), "     # a fund\r\n", '     # a fund\r\n      - "AMD.NASDAQ"\r\n'),
        # The indent of a list may be that of its key.
        (BLOCK.replace("      - ", "    - "), "     # a fund\n", '     # a fund\n    - "AMD.NASDAQ"\n'),
    ],
    ids=[
        "flow",
        "block",
        "flow of lines",
        "flow of lines, no last comma",
        "flow of lines, bracket behind",
        "trailing comma",
        "empty",
        "end of file",
        "flow crlf",
        "block crlf",
        "block at the key",
    ],
)
def test_an_item_is_added_at_the_end_and_nothing_else_changes(text: str, old: str, new: str) -> None:
    assert text.count(old) == 1
    assert add(text, "AMD.NASDAQ") == text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "item", "old", "new"),
    [
        (FLOW, "AAPL.NASDAQ", '"AAPL.NASDAQ", ', ""),
        (FLOW, "MSFT.NASDAQ", ", MSFT.NASDAQ", ""),
        (BLOCK, "AAPL.NASDAQ", '      - "AAPL.NASDAQ"  # phones\n', ""),
        (BLOCK, "MSFT.NASDAQ", "      - MSFT.NASDAQ\n", ""),
        (BLOCK, "SPY.ARCA", "      - 'SPY.ARCA'     # a fund\n", ""),
        (FLOW_OF_LINES, "AAPL.NASDAQ", '      "AAPL.NASDAQ",  # phones\n', ""),
        (FLOW_OF_LINES, "MSFT.NASDAQ", '      "MSFT.NASDAQ",  # windows\n', ""),
        (FLOW_OF_LINES.replace(",  # windows\n    ]", "]"), "MSFT.NASDAQ", '"MSFT.NASDAQ"]', "]"),
        (BLOCK.replace("\n", "\r\n"), "MSFT.NASDAQ", "      - MSFT.NASDAQ\r\n", ""),
    ],
)
def test_an_item_is_taken_out_and_nothing_else_changes(text: str, item: str, old: str, new: str) -> None:
    assert text.count(old) == 1
    assert remove(text, item) == text.replace(old, new)


def test_what_is_there_is_not_added_and_what_is_not_is_not_removed() -> None:
    assert add(FLOW, "AAPL.NASDAQ") == FLOW
    assert remove(FLOW, "AMD.NASDAQ") == FLOW


def test_a_line_that_would_be_too_long_goes_on_below_the_first_item() -> None:
    names = [f"{letter * 4}.NASDAQ" for letter in "ABCDEFGHIJKL"]
    lines = add(FLOW, *names).splitlines()
    assert max(map(len, lines)) < 140
    assert lines[5].startswith(" " * len("    instruments: [") + '"')
    assert yaml.safe_load("\n".join(lines))["universes"]["stocks"]["instruments"] == ["AAPL.NASDAQ", "MSFT.NASDAQ", *names]


@pytest.mark.parametrize(
    "text",
    [
        "universes:\n  stocks:\n    instruments: &all [A.NASDAQ]\n  other:\n    instruments: *all\n",
        "big: &all [A.NASDAQ]\nuniverses:\n  stocks:\n    instruments: *all\n",
        "universes:\n  stocks:\n    instruments: !!seq [A.NASDAQ]\n",
        "universes:\n  stocks:\n    instruments: [[A.NASDAQ]]\n",
        "universes:\n  stocks:\n    instruments: A.NASDAQ\n",
        'universes:\n  stocks:\n    instruments: ["A\\u002ENASDAQ"]\n',
        "universes:\n  stocks:\n    instruments:\n    - &one A.NASDAQ\n",
        "universes:\n  stocks:\n    instruments:\n      - >-\n        A.NASDAQ\n",
    ],
)
def test_a_list_that_is_written_in_another_way_is_refused_with_its_line(text: str) -> None:
    for edit in (add, remove):
        with pytest.raises(ConfigurationError, match=r"^w.yaml, line [34]: universes.stocks.instruments is written in a way that is not edited here"):
            edit(text, "A.NASDAQ", "B.NASDAQ")


def test_a_list_that_is_not_there_and_text_that_is_no_yaml_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^w.yaml: there is no universes.stocks.instruments\.$"):
        add("universes:\n  stocks: {}\n", "A.NASDAQ")
    with pytest.raises(ConfigurationError, match=r"^w.yaml, line 2: not valid YAML"):
        add("universes: [\n}", "A.NASDAQ")


_IDS = st.lists(st.from_regex(r"[A-Z]{1,5}\.(NASDAQ|ARCA)", fullmatch=True), min_size=1, max_size=6, unique=True)


@given(_IDS, _IDS, st.sampled_from(["flow", "block", "lines", "lines without last comma"]), st.booleans())
def test_adding_and_removing_comes_back_to_the_same_text(there: list[str], new: list[str], shape: str, quoted: bool) -> None:
    names = [f'"{one}"' if quoted else one for one in there]
    written = {
        "flow": f" [{', '.join(names)}]",
        "block": "".join(f"\n      - {one}  # {i}" for i, one in enumerate(names)),
        "lines": " [\n" + "".join(f"      {one},  # {i}\n" for i, one in enumerate(names)) + "    ]",
        "lines without last comma": " [\n" + ",\n".join(f"      {one}" for one in names) + "\n    ]",
    }[shape]
    text = f"universes:\n  stocks:\n    # which\n    instruments:{written}\n    source: ibkr  # end\n"
    more = [one for one in new if one not in there]
    added = add(text, *new)
    assert yaml.safe_load(added)["universes"]["stocks"]["instruments"] == [*there, *more]
    back = remove(added, *more)
    assert yaml.safe_load(back) == yaml.safe_load(text)
    assert back.replace(",", "") == text.replace(",", "")
