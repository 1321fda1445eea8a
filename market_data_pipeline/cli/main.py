"""The entry point of `mdp`: runs a command, and ends with one clear message and an exit code, whatever happens.

Exit codes: 0 done, 1 failed, 2 usage, 3 a question nobody could answer, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
from collections.abc import Sequence

import typer

from market_data_pipeline.cli.app import app
from market_data_pipeline.cli.endings import Stopped, tell_crash, tell_error, tell_stopped, tell_system_error, tell_usage
from market_data_pipeline.domain.errors import MarketDataError

_COMPLETION = "_MDP_COMPLETE"
# Importing makes many objects and no garbage: looking for it less often makes `mdp check` faster by 40 ms.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `mdp` with these arguments (by default those of the process) and return its exit code."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    _make_streams_safe()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if _COMPLETION in os.environ:
        app(prog_name="mdp")
    try:
        code = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()  # `mdp check | head -1`: the reader has what it wants
        return 1
    return code


def _run(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        # Not `app()`: that turns Ctrl-C and errors into exits of its own.
        with typer.main.get_command(app).make_context("mdp", arguments) as context:
            context.command.invoke(context)
    except typer.Exit as leave:
        return leave.exit_code
    except MarketDataError as error:
        return tell_error(error, arguments, as_json=as_json)
    except typer.TyperException as error:
        return tell_usage(error, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort) as stop:
        return tell_stopped(stop if isinstance(stop, Stopped) else Stopped(), as_json=as_json)
    except BrokenPipeError:
        raise
    except OSError as error:
        return tell_system_error(error, as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the last resort: a person gets one line and a file to send, not a traceback
        return tell_crash(error, arguments, as_json=as_json)
    return 0


def _make_streams_safe() -> None:
    """Let a value that the terminal's encoding lacks be shown as an escape instead of failing the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _silence_stdout() -> None:
    """Keep Python from complaining about the closed pipe once more at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
