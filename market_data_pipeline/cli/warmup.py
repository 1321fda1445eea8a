"""`mdp warmup`: whether a strategy would be ready before its first live bar, and what makes it so."""

from __future__ import annotations

from typing import Annotated

import typer

from market_data_pipeline.cli.load import HoursChoice
from market_data_pipeline.cli.options import CatalogOption, ClientIdOption, ConfigOption, HostOption, JsonOption, Place, PortOption, SpecArgument


def warmup(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="ID", help="AAPL.NASDAQ; or AAPL, EURUSD to be looked up at the broker.")],
    bar: SpecArgument,
    bars: Annotated[int, typer.Option("--bars", metavar="N", help="The longest period of the strategy's indicators.")],
    buffer: Annotated[float, typer.Option("--buffer", metavar="X", help="Bars brought for each that is needed, 1 to 10.")] = 1.2,
    source: Annotated[
        list[str] | None, typer.Option("--source", metavar="catalog|ibkr", help="Where history may come from; may be given twice.  [default: both]")
    ] = None,
    lookback: Annotated[int, typer.Option("--lookback", metavar="N", help="Sessions to go back at most.")] = 400,
    hours: Annotated[HoursChoice | None, typer.Option("--hours", help="[default: as stored; else rth for stocks, all for others]")] = None,
    load: Annotated[bool, typer.Option("--load", help="Bring it now into the catalog, so that a node starts from there alone.")] = False,
    as_json: JsonOption = False,
    host: HostOption = None,
    port: PortOption = None,
    client_id: ClientIdOption = None,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Say what a live warm-up needs: what is stored of it, what would be asked of the broker, how long that takes, and whether it is enough.

    A dry run, unless --load is given: no bar is asked for and nothing stored. Where sessions are missing, the gateway is asked for its clock.

    Exit code 0 if every strategy would be ready, 1 if not. With --source catalog: if it would be ready from the catalog alone.

    \b
    Examples:
      mdp warmup AAPL.NASDAQ 15-MINUTE-LAST --bars 260
      mdp warmup AAPL.NASDAQ MSFT.NASDAQ 1-MINUTE-LAST --bars 260 --source catalog
      mdp warmup EUR/USD.IDEALPRO 15-MINUTE-MID --bars 260 --buffer 1.5 --load
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.broker import budget_of, gateway_settings
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import warmups as look
    from market_data_pipeline.cli.warming import Wishes, bring_all, plan_all

    place = Place.of(context, catalog, config)
    wishes = Wishes.parse(names, bar, bars, buffer, source, lookback, hours, load=load)
    settings = gateway_settings(host, port, client_id)
    warmed = (bring_all if load else plan_all)(place, settings, wishes)
    if as_json:
        show_json({"catalog": str(place.root), "load": load, **look.to_json(warmed)})
    else:
        text = look.lines(warmed, lambda: budget_of(settings), wishes.next_command(place))
        say([*text, *place.remark(text)])
    if not all(one.enough for one in warmed):
        raise typer.Exit(1)
