"""`mdp ibkr simulate`: a simulated IB Gateway to try the whole path with, and to break it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from market_data_pipeline.domain.errors import InvalidDate, UsageError

if TYPE_CHECKING:
    from market_data_pipeline.gateway_simulator.limits import PacingLimits

_NANOSECONDS = 1_000


def simulate(
    host: Annotated[str, typer.Option("--host", help="Where to listen. Whoever reaches it is let in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", envvar="IB_PORT", min=0, max=65535, help="0 takes a free one.")] = 4002,
    now: Annotated[str | None, typer.Option("--now", metavar="TIME", help="The gateway's time: 2024-06-03T14:30Z.  [default: the real time]")] = None,
    speed: Annotated[float, typer.Option("--speed", min=0, help="Market seconds per real second; 0 stands still.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Of prices.")] = 1,
    contracts: Annotated[Path | None, typer.Option("--contracts", metavar="YAML", help="Contracts of your own, besides the built-in.")] = None,
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Serve recorded bars: a Parquet catalog, or CSV files.")] = None,
    request_sizes: Annotated[
        Literal["documented", "observed"], typer.Option("--request-sizes", help="Longest durations that are answered.")
    ] = "observed",
    account: Annotated[str, typer.Option("--account", help="Its name; bars of one that begins with DUSIM are marked simulated.")] = "DUSIM12345",
    latency: Annotated[float, typer.Option("--latency", min=0, metavar="S", help="Seconds until a request for data is answered.")] = 0.05,
    scenario: Annotated[Path | None, typer.Option("--scenario", metavar="YAML", help="What goes wrong, and when.")] = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", metavar="FAULT", help="The same in short: history:3=drop-middle. May be given several times.")
    ] = None,
    fault_seed: Annotated[int | None, typer.Option("--fault-seed", help="Of faults at random.")] = None,
    no_pacing: Annotated[bool, typer.Option("--no-pacing", help="Count breaches of the broker's rules, and answer all the same.")] = False,
    pacing_scale: Annotated[float, typer.Option("--pacing-scale", min=0, help="Multiplies the times of all rules.")] = 1.0,
    pacing_limit: Annotated[int | None, typer.Option("--pacing-limit", min=1, help="Requests in a window.  [default: 60]")] = None,
    pacing_window: Annotated[float | None, typer.Option("--pacing-window", min=0, metavar="S", help="[default: 600]")] = None,
    identical: Annotated[float | None, typer.Option("--identical", min=0, metavar="S", help="Between identical requests.  [default: 15]")] = None,
    burst_window: Annotated[float | None, typer.Option("--burst-window", min=0, metavar="S", help="For 6 of one contract.  [default: 2]")] = None,
    open_limit: Annotated[int | None, typer.Option("--open-limit", min=1, help="Requests open at once.  [default: 50]")] = None,
    stats: Annotated[Path | None, typer.Option("--stats", metavar="FILE", help="Keep statistics in a JSON file.")] = None,
    stats_port: Annotated[int | None, typer.Option("--stats-port", min=0, max=65535, help="Tell them on http://127.0.0.1:PORT/.")] = None,
    keep: Annotated[int, typer.Option("--keep", min=1, help="Requests to remember one by one.")] = 2_000,
    ready_file: Annotated[Path | None, typer.Option("--ready-file", metavar="FILE", help="Written as JSON when it listens.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No line per request.")] = False,
) -> None:
    """Run a simulated IB Gateway: contracts and bars with no account, over the same socket protocol.

    It is read-only, enforces the broker's pacing rules, and can be hurt: FAULT is KIND[/CONTRACT]:WHEN=WHAT[:ARGUMENT].
    KIND: connect, start, contracts, matching, history, schedule, head, ticks, realtime, any. WHEN: 3 or 3,5 or 3-7 or 5n (each fifth) or 20% or *.
    WHAT: error-CODE, no-data, pacing, no-permission, query-cancelled, unknown-contract, ambiguous, silence, slow, drop-before, drop-middle,
    drop-after, half-frame, garbage, garbage-frame, one-byte, disorder, duplicates, truncated, empty, stale, lost, revised, split, closed, opened,
    early-close, outage-lost, outage-kept, restart, login-screen, in-use. ARGUMENT: the text of an error, the sessions that it is about, the ratio
    of a split, else seconds. A scenario file says more: since when and until when, for which client, how often.

    \b
    Examples:
      mdp ibkr simulate
      mdp ibkr simulate --now 2024-06-03T14:30Z --speed 60
      mdp ibkr simulate --pacing-scale 0.01 --fault history:3=drop-middle --fault history/AAPL:20%=silence
      mdp ibkr simulate --fault history/NVDA:*=lost:2024-11-29,2024-12-02
      mdp ibkr simulate --fault history/AAPL:*=split:4:2024-06-10 --fault schedule:*=early-close:2024-05-24
    """  # noqa: D301 - \b keeps the lines below it as they are
    import asyncio

    from market_data_pipeline.cli.rendering.simulator import Spectator, welcome
    from market_data_pipeline.gateway_simulator.clock import Clock
    from market_data_pipeline.gateway_simulator.gateway import Gateway, GatewaySettings
    from market_data_pipeline.gateway_simulator.limits import PacingLimits
    from market_data_pipeline.gateway_simulator.market import Market
    from market_data_pipeline.gateway_simulator.market.durations import DOCUMENTED, OBSERVED
    from market_data_pipeline.gateway_simulator.running import Reports, run
    from market_data_pipeline.gateway_simulator.scenario import Scenario

    own = {"requests": pacing_limit, "window_s": pacing_window, "identical_s": identical, "burst_s": burst_window, "open_at_once": open_limit}
    limits = _limits(PacingLimits().scaled(pacing_scale), own, enforced=not no_pacing)
    settings = GatewaySettings(host, port, account, latency, limits, keep)
    gateway = Gateway(
        settings,
        Market.standard(seed, contracts, data, DOCUMENTED if request_sizes == "documented" else OBSERVED),
        Clock(None if now is None else _moment(now), speed),
        Scenario.read(scenario, fault or [], fault_seed),
        audience := Spectator(quiet=quiet),
    )
    asyncio.run(run(gateway, Reports(stats, stats_port, ready_file), lambda where: welcome(gateway, where)))
    audience.farewell(gateway.statistics)


def _limits(usual: PacingLimits, own: dict[str, float | None], *, enforced: bool) -> PacingLimits:
    return dataclasses.replace(usual, enforced=enforced, **{name: value for name, value in own.items() if value is not None})  # type: ignore[arg-type]


def _moment(text: str) -> int:
    """Return a time as UTC nanoseconds since 1970.

    Raises:
        UsageError: If it cannot be read, or has no zone.
    """
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InvalidDate(f"--now {text}: write a time with its zone, for example 2024-06-03T14:30Z.") from None
    if moment.tzinfo is None:
        raise UsageError(f"--now {text}: add the zone, for example {text}Z for UTC.")
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * _NANOSECONDS
