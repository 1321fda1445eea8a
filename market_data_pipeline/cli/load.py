"""`mdp load`: bars of Interactive Brokers into the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from market_data_pipeline.cli.options import (
    CatalogOption,
    ClientIdOption,
    ConfigOption,
    EndOption,
    HostOption,
    JsonOption,
    Place,
    PortOption,
    SpecArgument,
    StartOption,
)

if TYPE_CHECKING:
    from market_data_pipeline.cli.loading import Wishes
    from market_data_pipeline.cli.rechecking import Rechecks
    from market_data_pipeline.sources.ibkr import IbkrSettings

# A test holds these against the enums of the use case, which are too heavy to import for `--help`.
Modes = Literal["tail", "backfill", "full"]
HoursChoice = Literal["rth", "all"]
SizesChoice = Literal["documented", "observed"]
DecimalsChoice = Literal["refuse", "round"]


def load(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="ID|SYMBOL", help="AAPL.NASDAQ; or AAPL, EURUSD, ES@FUT to be looked up at the broker.")],
    bar: SpecArgument,
    mode: Annotated[Modes | None, typer.Option("--mode", help="From where to where.  [default: full with --start, else tail]")] = None,
    start: StartOption = None,
    end: EndOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell the plan and what it takes; ask for no bars, store nothing.")] = False,
    no_holes: Annotated[bool, typer.Option("--no-holes", help="Leave holes between the first and the last stored session.")] = False,
    hours: Annotated[HoursChoice | None, typer.Option("--hours", help="[default: as stored; else rth for stocks, all for others]")] = None,
    refetch: Annotated[bool, typer.Option("--refetch", help="Also ask again for sessions that are stored whole.")] = False,
    recheck: Annotated[
        int | None, typer.Option("--recheck", metavar="N", min=1, help="Ask again for the N newest whole sessions; note and store what changed.")
    ] = None,
    rebase: Annotated[bool, typer.Option("--rebase", help="After a split: ask again for all that is stored, and replace it as a whole.")] = False,
    sizes: Annotated[SizesChoice | None, typer.Option("--sizes", help="How much one request asks for.  [env: IB_REQUEST_SIZES]")] = None,
    decimals: Annotated[
        DecimalsChoice | None,
        typer.Option("--excess-decimals", help="Values with more decimals than the instrument has.  [default: refuse; env: IB_EXCESS_DECIMALS]"),
    ] = None,
    derive: Annotated[
        bool, typer.Option("--derive", help="Make the bars of finer ones that are stored; asks nobody.  [default: as the watchlist says]")
    ] = False,
    finer: Annotated[
        str | None, typer.Option("--from", metavar="SPEC", help="The finer bars of --derive.  [default: as the watchlist says; else the stored ones]")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Without --start, do not ask whether a load of more than an hour is meant.")] = False,
    as_json: JsonOption = False,
    host: HostOption = None,
    port: PortOption = None,
    client_id: ClientIdOption = None,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Fetch bars from Interactive Brokers, only those that are not stored, each session stored as soon as it is whole.

    tail goes from the last stored session to now, backfill from the first stored session back (to --start, or as far as one request
    reaches), full over everything that the broker has. Holes between stored sessions are filled in every mode. --start and --end bound
    every mode. With nothing stored, every mode is full.

    Exit code 1 if a session or a series could not be had; the others are stored, and the same command asks only for what is missing.

    --recheck compares what is stored with what the broker says now: changed bars are stored, their old values noted (mdp revisions). Where all
    prices of a session were divided by one number, as after a split, nothing is stored and the exit code is 1: --rebase then puts the whole series
    on the new base.

    With --derive, or where the watchlist derives the bars ("5-MINUTE-LAST from 1-MINUTE-LAST"), they are made of stored finer ones: nobody is
    asked, and sessions whose finer bars were replaced since are made anew.

    \b
    Examples:
      mdp load AAPL.NASDAQ 1-MINUTE-LAST --start 2024-01-01 --end 2024-01-31
      mdp load AAPL MSFT 1-DAY-LAST --dry-run
      mdp load EUR/USD.IDEALPRO 15-MINUTE-MID --mode backfill --start 2023-01-01
      mdp load AAPL.NASDAQ 1-MINUTE-LAST --recheck 5
      mdp load AAPL.NASDAQ 5-MINUTE-LAST --derive --from 1-MINUTE-LAST
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.broker import budget_of, gateway_settings
    from market_data_pipeline.cli.deriving import is_derived
    from market_data_pipeline.cli.loading import Wishes, carry_out
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rechecking import Rechecks
    from market_data_pipeline.cli.rendering import loads as look

    place = Place.of(context, catalog, config)
    if recheck is not None or rebase:
        given = {"--mode": mode, "--start": start, "--end": end, "--from": finer}
        said = {"--no-holes": no_holes, "--refetch": refetch, "--derive": derive}
        others = [*(name for name, value in given.items() if value is not None), *(name for name, value in said.items() if value)]
        again = Rechecks.parse(names, bar, recheck, hours, rebase=rebase, dry_run=dry_run, others=others)
        _recheck(place, gateway_settings(host, port, client_id, sizes, decimals), again, as_json=as_json)
        return
    wishes = Wishes.parse(names, bar, mode, start, end, hours, no_holes=no_holes, refetch=refetch, dry_run=dry_run, however_long=yes)
    if derive or finer is not None or is_derived(place, wishes.names, wishes.spec):
        _derive(place, wishes, finer, as_json=as_json)
        return
    settings = gateway_settings(host, port, client_id, sizes, decimals)
    done = carry_out(place, settings, wishes)
    if as_json:
        show_json({"catalog": str(place.root), **look.to_json(done)})
    else:
        say(look.lines(done, place.command, lambda: budget_of(settings)))
    if done.failed:
        raise typer.Exit(1)


def _recheck(place: Place, settings: IbkrSettings, wishes: Rechecks, *, as_json: bool) -> None:
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rechecking import carry_out
    from market_data_pipeline.cli.rendering import rechecks as look

    done = carry_out(place, settings, wishes)
    if as_json:
        show_json({"catalog": str(place.root), **look.to_json(done)})
    else:
        say(look.lines(done, place.command))
    if any(one.needs_somebody for one in done):
        raise typer.Exit(1)


def _derive(place: Place, wishes: Wishes, finer: str | None, *, as_json: bool) -> None:
    from market_data_pipeline.cli.deriving import carry_out
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import derivations as look
    from market_data_pipeline.domain.bar_types import BarSpec
    from market_data_pipeline.domain.errors import UsageError

    if wishes.hours is not None:
        raise UsageError("--hours is for bars that are asked for; derived bars have the hours of the finer ones.")
    of = BarSpec.parse(finer) if finer is not None else None
    done = carry_out(place, wishes.names, wishes.spec, of, wishes.reach, wishes.refetch, wishes.run)
    if as_json:
        show_json({"catalog": str(place.root), **look.to_json(done)})
    else:
        say(look.lines(done, place.command))
    if any(outcome.failed for outcome in done):
        raise typer.Exit(1)
