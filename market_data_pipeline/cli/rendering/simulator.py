"""What `mdp ibkr simulate` shows: where it listens, a line per request, and a summary."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from market_data_pipeline.cli.output import note, paint, say
from market_data_pipeline.cli.words import count, utc
from market_data_pipeline.gateway_simulator.gateway import Gateway
from market_data_pipeline.gateway_simulator.running import Listening
from market_data_pipeline.gateway_simulator.scenario import MARKET_KINDS, Kind
from market_data_pipeline.gateway_simulator.statistics import RequestRecord, Statistics

_BILLION = 1_000_000_000


def welcome(gateway: Gateway, where: Listening) -> None:
    """Say where it listens and how it is used."""
    limits = gateway.settings.limits
    host = "" if where.host == "127.0.0.1" else f"IB_HOST={where.host} "
    rules = f"{limits.requests} requests in {limits.window_s:g} s{'' if limits.enforced else ', counted and not enforced'}"
    say(
        [
            f"A simulated IB Gateway listens on {where.host}:{where.port}: account {gateway.settings.account}, read-only; nothing here is real.",
            f"Market time {utc(gateway.clock.now_ns())}. Pacing: {rules}.",
            *([f"Statistics: http://127.0.0.1:{where.stats_port}/"] if where.stats_port is not None else []),
            "In another terminal:",
            f"  {host}IB_PORT={where.port} mdp ibkr status",
            "Ctrl-C ends it.",
        ]
    )
    _flush()


class Spectator:
    """Writes a line for each request for data that came to its end.

    Args:
        quiet: Whether it keeps to itself.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def answered(self, record: RequestRecord) -> None:
        """Write a line about a request."""
        if not self._quiet and (record.kind in MARKET_KINDS or record.kind is Kind.ORDER):
            say(_line(record))
            _flush()

    def noted(self, text: str) -> None:
        """Write a line about something else."""
        if not self._quiet:
            note(f"{_time(dt.datetime.now(dt.UTC))}  {text}")

    def farewell(self, statistics: Statistics) -> None:
        """Say what it was all in all."""
        broken = statistics.breaches
        rules = f" ({', '.join(f'{rule} {times:,}' for rule, times in sorted(broken.items()))})" if broken else ""
        say(
            f"Ended. {count(statistics.requests, 'request')}, {count(statistics.bars, 'bar')}, "
            f"{count(sum(broken.values()), 'breach', 'breaches')} of the pacing rules{rules}."
        )


def _line(record: RequestRecord) -> str:
    arrived = dt.datetime.fromtimestamp(record.at_ns / _BILLION, dt.UTC)
    fault = f"  [{paint(record.fault, 'yellow')}]" if record.fault else ""
    rows = f" {record.rows:,}" if record.rows else ""
    words = [_time(arrived), f"client {record.client}", f"{record.kind:<9}", record.contract, " ".join(_span(record))]
    return f"{'  '.join(word for word in words if word)}  -> {record.answer}{rows}{fault}"


def _span(record: RequestRecord) -> Sequence[str]:
    asked = record.asked
    end = str(asked.get("end", ""))
    parts = [str(asked[name]) for name in ("message", "pattern", "bar_size", "what", "duration") if name in asked]
    hours = ["RTH" if asked["use_rth"] else "all hours"] if "use_rth" in asked else []
    until = [f"to {end}"] if end else []
    return [*parts, *until, *hours]


def _time(moment: dt.datetime) -> str:
    return f"{moment:%H:%M:%S}"


def _flush() -> None:
    """Let a reader of a pipe see lines as they come."""
    import sys

    sys.stdout.flush()
