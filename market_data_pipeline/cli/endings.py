"""How a command ends when it does not end well: one message to stderr, with `--json` also an object on stdout, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import typer

from market_data_pipeline import __version__
from market_data_pipeline.cli.options import Place
from market_data_pipeline.cli.output import Json, note, paint, show_json
from market_data_pipeline.domain.errors import MarketDataError, UsageError

STOPPED = 130


class Stopped(KeyboardInterrupt):
    """Ctrl-C, with what stands."""

    def __str__(self) -> str:
        return super().__str__() or "Stopped. What was stored before is whole and stays."


def tell_error(error: MarketDataError, arguments: Sequence[str] = (), *, as_json: bool) -> int:
    """Tell an error that is meant for a person; return its exit code."""
    code = _tell(type(error).__name__, str(error), error.exit_code, retryable=error.retryable, as_json=as_json)
    for line in _catalog_remark(str(error), arguments):
        note(line)
    return code


def _catalog_remark(message: str, arguments: Sequence[str]) -> list[str]:
    """Return how the commands of a message reach the catalog that was named on the command line."""
    named = [one.removeprefix("--catalog=") for one in arguments if one.startswith("--catalog=")]
    named += [after for before, after in pairwise(arguments) if before == "--catalog"]
    return Place(Path(named[-1]), None, on_command_line=True).remark([message]) if named else []


def error_to_json(error: MarketDataError) -> dict[str, Json]:
    """Return an error for programs, as part of an answer that goes on without it."""
    return {"error": type(error).__name__, "message": str(error), "retryable": error.retryable}


def tell_usage(error: typer.TyperException, *, as_json: bool) -> int:
    """Tell that the command line itself cannot be read."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "mdp"
    message = error.format_message().strip()
    if context is not None and message == context.get_help().strip():  # a group without a command
        note(message)
        return UsageError.exit_code
    if not message.endswith((".", "?")):
        message += "."
    return _tell("UsageError", f"{message} See: {command} --help", UsageError.exit_code, as_json=as_json)


def tell_system_error(error: OSError, *, as_json: bool) -> int:
    """Tell what the system refused."""
    reason = error.strerror or str(error) or type(error).__name__
    message = f"{error.filename}: {reason}." if error.filename else f"The system refused: {reason}."
    return _tell(type(error).__name__, message, 1, as_json=as_json)


def tell_stopped(stop: Stopped, *, as_json: bool) -> int:
    """Tell what stands after Ctrl-C."""
    if as_json:
        show_json({"error": "Stopped", "message": str(stop), "retryable": True})
    note(str(stop))
    return STOPPED


def tell_crash(error: Exception, arguments: Sequence[str], *, as_json: bool) -> int:
    """Tell an error that nobody foresaw, and keep its traceback in a file."""
    log = _write_crash_log(error, arguments)
    first = without_passwords((str(error).splitlines() or [""])[0])[:200]
    where = f"Details: {log}" if log is not None else "No file for the details could be written"
    message = f"This is a fault of mdp, not of what you typed: {type(error).__name__}: {first}. {where}"
    return _tell(type(error).__name__, message, 1, as_json=as_json)


def _tell(kind: str, message: str, code: int, *, as_json: bool, retryable: bool = False) -> int:
    if as_json:
        show_json({"error": kind, "message": message, "retryable": retryable})
    note(f"{paint('error:', 'red', sys.stderr)} {message}")
    return code


def without_passwords(text: str) -> str:
    """Return a text with asterisks in place of passwords in URLs and in connection strings of PostgreSQL."""
    import re

    text = re.sub(r"(://[^:/?#@\s'\"]*:)[^\s'\"]*(?=@)", r"\1***", text)
    return re.sub(r"\b(password\s*=\s*)('[^']*'|[^\s&'\"]+)", r"\1***", text, flags=re.IGNORECASE)


def _write_crash_log(error: Exception, arguments: Sequence[str]) -> Path | None:
    """Write what a developer needs below XDG_STATE_HOME (or ~/.local/state), else among the temporary files; None if nowhere."""
    import datetime as dt
    import platform
    import shlex
    import tempfile
    import traceback

    now = dt.datetime.now(dt.UTC)
    text = (
        f"{now.isoformat()}\nmdp {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"mdp {shlex.join(arguments)}\n\n{''.join(traceback.format_exception(error))}"
    )
    text = without_passwords(text)
    for folder in (_state_folder(), Path(tempfile.gettempdir())):
        file = folder / f"mdp-crash-{now:%Y%m%dT%H%M%S}-{os.getpid()}.log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            continue
        return file
    return None


def _state_folder() -> Path:
    given = os.environ.get("XDG_STATE_HOME", "")
    # A relative one must be ignored (XDG Base Directory Specification).
    home = Path(given) if given.startswith("/") else Path("~/.local/state").expanduser()
    return home / "nautilus-market-data-pipeline"
