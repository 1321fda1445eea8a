"""Where text goes: answers to stdout, remarks and errors to stderr. The same bytes whether a terminal is wide or narrow, when piped."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}

type Json = Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None


def say(lines: str | Iterable[str] = "") -> None:
    """Print an answer."""
    print(lines if isinstance(lines, str) else "\n".join(lines))


def note(text: str) -> None:
    """Print a remark, out of the way of what is piped."""
    print(text, file=sys.stderr, flush=True)


def show_json(content: Json) -> None:
    """Print an object for programs; nothing else goes to stdout then."""
    print(json.dumps(content, indent=2, ensure_ascii=False))


def has_colours(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that wants colours (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Return `text` in a colour (red, green, yellow, bold, dim) where the stream shows them; by default stdout."""
    return f"\033[{_COLOURS[colour]}m{text}\033[0m" if has_colours(stream or sys.stdout) else text


def show_table(headers: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[str] = ()) -> None:
    """Print a table; columns named in `numbers` stand right. When piped, no cell is ever broken over lines."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    right = set(numbers)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        table.add_column(header, justify="right" if header in right else "left", no_wrap=not sys.stdout.isatty(), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    # Piped, a table is as wide as its cells; a terminal's width is its own business.
    console = Console(file=sys.stdout, highlight=False, no_color=not has_colours(sys.stdout), width=None if sys.stdout.isatty() else 10_000)
    with console.capture() as drawn:
        console.print(table)
    say(line.rstrip() for line in drawn.get().splitlines())
