"""`mdp ibkr`: the gateway of Interactive Brokers, what it allows and what it has; and its simulator."""

from __future__ import annotations

from typing import Annotated

import typer

from market_data_pipeline.cli.options import (
    BarOption,
    CatalogOption,
    ClientIdOption,
    ConfigOption,
    HostOption,
    IdsArgument,
    JsonOption,
    Place,
    PortOption,
)
from market_data_pipeline.cli.simulate import simulate

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The gateway of Interactive Brokers, and its simulator.")
app.command("simulate", short_help="Be a gateway, without an account.")(simulate)


@app.command(short_help="Say how the gateway is, and what pacing allows.")
def status(as_json: JsonOption = False, host: HostOption = None, port: PortOption = None, client_id: ClientIdOption = None) -> None:
    """Connect, and say what answers: server version, data farms, kind of account (numbers masked), clock, and the pacing budget.

    \b
    Examples:
      mdp ibkr status
      mdp ibkr status --port 7497 --json
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.broker import budget_of, facts_of, gateway_settings
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import broker as look

    settings = gateway_settings(host, port, client_id)
    facts, budget = facts_of(settings), budget_of(settings)
    if as_json:
        show_json({"gateway": look.facts_to_json(facts), "budget": look.budget_to_json(budget)})
    else:
        say([*look.facts_lines(facts), *look.budget_lines(budget)])


@app.command(short_help="Exit code 0 if the gateway answers, else 1; for scripts.")
def health(as_json: JsonOption = False, host: HostOption = None, port: PortOption = None, client_id: ClientIdOption = None) -> None:
    """Say in a line whether the gateway answers and its historical data farm is up; exit code 0 if so, else 1.

    Made for scripts and the health check of a container: it ends within IB_TIMEOUT (5 s), and asks the broker for nothing.

    \b
    Examples:
      mdp ibkr health && mdp load AAPL.NASDAQ 1-DAY-LAST
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.broker import gateway_settings, health_of
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import broker as look

    found = health_of(gateway_settings(host, port, client_id))
    if as_json:
        show_json(look.health_to_json(found))
    else:
        say(look.health_line(found))
    if not found.healthy:
        raise typer.Exit(1)


@app.command(short_help="Say since when there is data, beside what is stored.")
def ranges(
    context: typer.Context,
    ids: IdsArgument = None,
    bar: BarOption = None,
    as_json: JsonOption = False,
    host: HostOption = None,
    port: PortOption = None,
    client_id: ClientIdOption = None,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Say from when on the broker has data of each instrument (its head time stamp, kept once known), beside what is stored.

    \b
    Examples:
      mdp ibkr ranges
      mdp ibkr ranges MSFT.NASDAQ --bar 1-DAY-LAST
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.broker import gateway_settings
    from market_data_pipeline.cli.next_step import how_to_start
    from market_data_pipeline.cli.output import say, show_json, show_table
    from market_data_pipeline.cli.ranges import ranges_of
    from market_data_pipeline.cli.rendering import ranges as look

    place = Place.of(context, catalog, config)
    with place.opened() as stored:
        found = ranges_of(stored, gateway_settings(host, port, client_id), ids or [], bar)
    if as_json:
        show_json({"catalog": str(place.root), "ranges": [look.to_json(one) for one in found]})
    elif not found:
        say(how_to_start(place))
    else:
        show_table(look.HEADERS, map(look.row, found), look.NUMBERS)
    if any(one.error is not None for one in found):
        raise typer.Exit(1)


@app.command(short_help="Say what is left of the request budget.")
def budget(as_json: JsonOption = False, host: HostOption = None, port: PortOption = None) -> None:
    """Say how many requests may still go, when the next one may, and who used the others. Needs no gateway.

    \b
    Examples:
      mdp ibkr budget
      mdp ibkr budget --json
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.broker import budget_of, gateway_settings
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import broker as look

    found = budget_of(gateway_settings(host, port))
    if as_json:
        show_json(look.budget_to_json(found))
    else:
        say(look.budget_lines(found))


@app.command(short_help="Free what processes of ours left behind.")
def cleanup(
    context: typer.Context,
    as_json: JsonOption = False,
    host: HostOption = None,
    port: PortOption = None,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Free client ids, pacing slots and temporary files of processes that are gone; what is in use stays. Needs no gateway.

    \b
    Examples:
      mdp ibkr cleanup
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.broker import gateway_settings
    from market_data_pipeline.cli.cleanup import clean_up
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import broker as look

    with Place.of(context, catalog, config).opened() as stored:
        done = clean_up(stored, gateway_settings(host, port))
    if as_json:
        show_json(look.cleanup_to_json(done))
    else:
        say(look.cleanup_lines(done))


@app.command(short_help="Say which instruments a symbol means.")
def discover(
    context: typer.Context,
    symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL", help="EURUSD, AAPL, ES@FUT: symbol, or symbol and type (STK, CASH, FUT, IND …).")],
    as_json: JsonOption = False,
    host: HostOption = None,
    port: PortOption = None,
    client_id: ClientIdOption = None,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Look symbols up at the broker: as a currency pair, then a stock, a future, an index; or as the type that is named.

    \b
    Examples:
      mdp ibkr discover AAPL
      mdp ibkr discover EURUSD ES@FUT
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.broker import gateway_settings
    from market_data_pipeline.cli.output import note, say, show_json, show_table
    from market_data_pipeline.cli.rendering import candidates as look
    from market_data_pipeline.cli.symbols import look_up

    place = Place.of(context, catalog, config)
    found = look_up(gateway_settings(host, port, client_id), symbols)
    if as_json:
        show_json({"symbols": [look.to_json(one) for one in found]})
    else:
        rows = [row for one in found for row in look.rows(one)]
        if rows:
            show_table(look.HEADERS, rows)
            say(f"load one: {place.command('load', *look.example(found))}")
        for one in found:
            if one.error is not None:
                note(f"{one.symbol}: {one.error}")
    if any(one.error is not None for one in found):
        raise typer.Exit(1)
