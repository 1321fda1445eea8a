"""Add items to a list in a YAML file, or take some out, and leave every other character of it as a person wrote it.

A YAML library that writes a file anew loses comments, order and quotes. So the text is edited where the parser says that the list stands, and the
result is read again: unless it says what was meant, nothing is changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import yaml

from market_data_pipeline.domain.errors import ConfigurationError

# A one-line list that would be longer goes on in the next line.
_WIDEST = 120
_PLAIN = re.compile(r"[A-Za-z0-9^][^\s,\[\]{}#&*!|>%@`\"':]*")
_QUOTED = re.compile(r'"[^"\\\n]*"|\'[^\'\n]*\'')
_ENDS_OF_LINE = re.compile(r"(?P<comma>[ \t]*,)?(?P<rest>[ \t]*(?:#[^\n]*?)?)(?P<end>\r?\n|$)")


def add_items(text: str, path: Sequence[str], items: Sequence[str], name: str) -> str:
    """Return YAML text with items at the end of the list of strings at `path`, in double quotes; those that are there already are left.

    Args:
        text: The whole file.
        path: Keys that lead to the list.
        items: What to add.
        name: The file's name, for messages.

    Raises:
        ConfigurationError: If the list is not there, or is written in a way that cannot be edited safely; with file and line.
    """
    for item in items:
        found = _List(text, path, name)
        if item not in found.items:
            text = _checked(found, found.with_item(item), [*found.items, item])
    return text


def remove_items(text: str, path: Sequence[str], items: Sequence[str], name: str) -> str:
    """Return YAML text without items of the list of strings at `path`; those that are not there are left. Takes what `add_items` takes.

    A comment in the line of an item that has a line of its own goes with it.

    Raises:
        ConfigurationError: As `add_items`.
    """
    for item in items:
        found = _List(text, path, name)
        if item in found.items:
            text = _checked(found, found.without(found.items.index(item)), [one for one in found.items if one != item])
    return text


class _List:
    """A list of strings in a YAML text, and where its items stand."""

    def __init__(self, text: str, path: Sequence[str], name: str) -> None:
        self.text, self.path, self.name = text, tuple(path), name
        node = self._find()
        self.start, self.end, self.is_flow = node.start_mark.index, node.end_mark.index, bool(node.flow_style)
        self.spans = [(item.start_mark.index, item.end_mark.index) for item in node.value]
        self.items = [str(item.value) for item in node.value]
        # An anchor, an alias or a tag stands where the first character should be; an alias stands elsewhere altogether.
        self._require(self.is_flow == (text[self.start] == "[") and (self.is_flow or text[self.start] == "-"))
        self._require(all(before[1] <= after[0] for before, after in pairwise([(0, self.start), *self.spans])))
        for (start, end), item in zip(self.spans, self.items, strict=True):
            written = text[start:end]
            self._require(bool(_PLAIN.fullmatch(written) or _QUOTED.fullmatch(written)) and written.strip("\"'") == item)
        self.newline = "\r\n" if "\r\n" in text else "\n"

    def _find(self) -> yaml.SequenceNode:
        try:
            node = yaml.compose(self.text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ConfigurationError(f"{self.name}, line {line}: not valid YAML: {error.problem or error}.") from None
        for depth, key in enumerate(self.path):
            entries = node.value if isinstance(node, yaml.MappingNode) else []
            entry = next(((name, value) for name, value in entries if name.value == key), None)
            if entry is None:
                raise ConfigurationError(f"{self.name}: there is no {'.'.join(self.path[: depth + 1])}.")
            value = entry[1]
            # An alias is composed to the node that it stands for, which lies elsewhere.
            inside = node is not None and node.start_mark.index <= value.start_mark.index and value.end_mark.index <= node.end_mark.index
            self.line = entry[0].start_mark.line + 1
            self._require(inside)
            node = value
        self._require(isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value))
        assert isinstance(node, yaml.SequenceNode)
        return node

    def _require(self, holds: bool) -> None:
        if not holds:
            raise ConfigurationError(
                f"{self.name}, line {self.line}: {'.'.join(self.path)} is written in a way that is not edited here (an anchor, an alias, a tag, or "
                'more than plain names). Write it as ["A", "B"] or as one "- A" a line, or edit the file yourself and check it with: '
                "mdp watchlist validate"
            )

    def with_item(self, item: str) -> str:
        """Return the text with an item at the end of the list."""
        quoted = f'"{item}"'
        if not self.spans:
            return self._put(self.start + 1, self.end - 1, quoted)
        start, end = self.spans[-1]
        if not self.is_flow:
            dash = re.fullmatch(r"[ \t]*-[ \t]+", self._before_in_line(start))
            self._require(dash is not None)
            return self._put_line(end, f"{self._before_in_line(start)}{quoted}")
        before = self._before_in_line(start)
        if not before.strip():
            return self._put_flow_line(end, before, quoted)
        is_long = len(self._before_in_line(end)) + len(f", {quoted}]") > _WIDEST
        gap = self.newline + " " * len(self._before_in_line(self.spans[0][0])) if is_long else " "
        return self._put(end, end, f",{gap}{quoted}")

    def _put_flow_line(self, end: int, indent: str, quoted: str) -> str:
        """Put an item of a flow list into a line of its own, below the last one, with a comma where the last one had one."""
        rest = _ENDS_OF_LINE.match(self.text, end)
        if rest is None or not rest["end"]:  # `]` stands in the same line
            return self._put(end, end, f",{self.newline}{indent}{quoted}")
        comma = "," if rest["comma"] else ""
        put = self._put(rest.end(), rest.end(), f"{indent}{quoted}{comma}{self.newline}")
        return put if comma else f"{put[:end]},{put[end:]}"

    def _put_line(self, end: int, line: str) -> str:
        stop = self.text.find("\n", end)
        if stop < 0:
            return f"{self.text.rstrip()}{self.newline}{line}{self.newline}"
        return self._put(stop + 1, stop + 1, f"{line}{self.newline}")

    def without(self, number: int) -> str:
        """Return the text without one item."""
        start, end = self.spans[number]
        rest = _ENDS_OF_LINE.match(self.text, end)
        before = self._before_in_line(start)
        alone = not before.strip() if self.is_flow else re.fullmatch(r"[ \t]*-[ \t]+", before) is not None
        if alone and rest is not None and (rest["end"] or rest.end() == len(self.text)):
            return self._put(start - len(before), rest.end(), "")
        self._require(self.is_flow)
        if number + 1 < len(self.spans):
            return self._put(start, self.spans[number + 1][0], "")
        after_before = self.spans[number - 1][1] if number else start
        # What stands between two items may be a comment of the other one; a comma at the end of a flow list is good YAML.
        return self._put(start if "#" in self.text[after_before:start] else after_before, end, "")

    def _before_in_line(self, index: int) -> str:
        return self.text[self.text.rfind("\n", 0, index) + 1 : index]

    def _put(self, start: int, end: int, new: str) -> str:
        return self.text[:start] + new + self.text[end:]


def _checked(found: _List, edited: str, items: Sequence[str]) -> str:
    """Return edited text if it says what the text before said, with other items in this one list.

    Raises:
        ConfigurationError: If it says anything else.
    """
    meant = _read(found.text, found.name)
    _at(meant, found.path[:-1])[found.path[-1]] = list(items)
    try:
        said = _read(edited, found.name)
    except ConfigurationError:
        said = None
    found._require(said == meant)
    return edited


def _read(text: str, name: str) -> object:
    # Scalars as they are written: a date or a number must stay the same text. This loader makes nothing but text, lists and mappings.
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{name}: not valid YAML: {error}.") from None


def _at(content: object, path: Sequence[str]) -> dict[str, object]:
    for key in path:
        assert isinstance(content, dict)
        content = content[key]
    assert isinstance(content, dict)
    return content
