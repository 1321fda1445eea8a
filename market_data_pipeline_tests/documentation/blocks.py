"""Commands in the fenced blocks of a Markdown file.

A ```console or ```sh block holds lines that begin with `$ `; a line that ends in a backslash goes on in the next one, and a here-document
(`<<'END'`) goes on to its end. What follows a command, up to the next, is what it prints: each line must appear in its output, in this
order, and `...` stands for anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LANGUAGES = ("console", "sh")
# Blocks that hold no commands. A new one is added here, so that no command hides under another name.
_TEXT = ("", "text", "python", "yaml", "toml", "json", "csv", "mermaid", "sql", "graphql", "xml")
_HERE_DOCUMENT = re.compile(r"<<-?\s*(['\"]?)(?P<end>\w+)\1")
_FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})(?P<info>.*)$")


class BadBlock(Exception):
    """A block says something that this harness would not run."""


@dataclass(frozen=True)
class Command:
    """One command of a document.

    Attributes:
        line: Line of the file where it stands, from 1.
        text: What a user types; continued lines are joined by newlines.
        shown: Lines that the document shows as its output.
    """

    line: int
    text: str
    shown: tuple[str, ...]


def commands_of(markdown: str) -> list[Command]:
    """Return the commands of a Markdown text, in order.

    Raises:
        BadBlock: If a block has an unknown language, words after it, no command, or is not closed.
    """
    found: list[Command] = []
    lines = enumerate(markdown.splitlines(), start=1)
    for number, line in lines:
        opening = _FENCE.match(line)
        if not opening:
            continue
        block: list[tuple[int, str]] = []
        for inner_number, inner in lines:
            closing = _FENCE.match(inner)
            if closing and closing["fence"].startswith(opening["fence"]) and not closing["info"].strip():
                break
            block.append((inner_number, inner))
        else:
            raise BadBlock(f"line {number}: this block is not closed")
        found += _commands_of_block(number, opening["info"].strip(), block)
    return found


def _commands_of_block(number: int, info: str, block: list[tuple[int, str]]) -> list[Command]:
    if info in _TEXT:
        if any(line.startswith("$ ") for _, line in block):
            raise BadBlock(f"line {number}: a command in a block that is not marked as ```console would not be run")
        return []
    if info not in _LANGUAGES:
        raise BadBlock(f"line {number}: ```{info} is none of {', '.join(_LANGUAGES)} (commands) or {', '.join(filter(None, _TEXT))} (text)")
    starts = [i for i, (_, line) in enumerate(block) if line.startswith("$ ")]
    if not starts or any(line.strip() for _, line in block[: starts[0]]):
        raise BadBlock(f"line {number}: the block must begin with a command, `$ …`")
    commands = []
    for start, stop in zip(starts, [*starts[1:], len(block)], strict=True):
        after = _last_line(block, start, stop)
        text = "\n".join(line for _, line in block[start : after + 1])
        shown = tuple(line.rstrip() for _, line in block[after + 1 : stop] if line.strip())
        commands.append(Command(block[start][0], text.removeprefix("$ "), shown))
    return commands


def _last_line(block: list[tuple[int, str]], start: int, stop: int) -> int:
    """Return the index of the last line of the command that begins at `start`."""
    last = start
    while block[last][1].endswith("\\") and last + 1 < stop:
        last += 1
    here_document = _HERE_DOCUMENT.search(block[last][1])
    if here_document is None:
        return last
    ends = [i for i in range(last + 1, stop) if block[i][1] == here_document["end"]]
    if not ends:
        raise BadBlock(f"line {block[start][0]}: the here-document has no line {here_document['end']}")
    return ends[0]


def missing_line(shown: tuple[str, ...], output: str) -> str | None:
    """Return the first shown line that the output does not hold at its place, or None."""
    printed = [" ".join(line.split()) for line in output.splitlines()]
    position = 0
    for line in shown:
        pattern = re.compile(".*".join(re.escape(" ".join(part.split())) for part in line.split("...")).replace(r"\ .*", ".*"))
        if line.strip() == "...":
            continue
        while position < len(printed) and not pattern.fullmatch(printed[position]):
            position += 1
        if position == len(printed):
            return line
        position += 1
    return None
