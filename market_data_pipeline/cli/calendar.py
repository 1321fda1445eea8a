"""`mdp calendar`: our trading calendars against the broker's own schedule."""

from __future__ import annotations

from typing import Annotated

import typer

from market_data_pipeline.cli.load import HoursChoice
from market_data_pipeline.cli.options import (
    CatalogOption,
    ClientIdOption,
    ConfigOption,
    EndOption,
    HostOption,
    JsonOption,
    Place,
    PortOption,
    StartOption,
)

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Trading calendars, and what the broker says of them.")


@app.callback()
def _group() -> None:
    """Trading calendars, and what the broker says of them."""


@app.command("check", short_help="Compare our calendar with the broker's schedule.")
def check(
    context: typer.Context,
    instrument: Annotated[str, typer.Argument(metavar="ID", help="Instrument id, for example AAPL.NASDAQ.")],
    start: StartOption = None,
    end: EndOption = None,
    hours: Annotated[HoursChoice, typer.Option("--hours", help="Which hours to compare.")] = "rth",
    write: Annotated[bool, typer.Option("--write", help="Write what differs into the file of overrides, which every calendar then honours.")] = False,
    as_json: JsonOption = False,
    host: HostOption = None,
    port: PortOption = None,
    client_id: ClientIdOption = None,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask Interactive Brokers for its own sessions of an instrument, and compare them with our calendar: by default over the last year.

    Told are sessions that only one of the two has, and those that open or close at another time. Times are on the venue's clocks.

    The file of overrides is config/calendar_overrides.yaml [env: MDP_CALENDAR_OVERRIDES]. What stands in it counts at once, for partitions, gaps and
    loads; a running Dagster shows it after its code location was reloaded. An override that would leave a stored session without a place is refused.

    Exit code 1 if something differs and was not written.

    \b
    Examples:
      mdp calendar check AAPL.NASDAQ
      mdp calendar check EUR/USD.IDEALPRO --start 2024-12-01 --end 2025-01-31
      mdp calendar check AAPL.NASDAQ --write
    """  # noqa: D301 - \b keeps the lines below it as they are
    import datetime as dt

    from market_data_pipeline.cli.broker import gateway_settings
    from market_data_pipeline.cli.loading import hear_while_preparing
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import calendars as look
    from market_data_pipeline.domain.errors import UsageError
    from market_data_pipeline.domain.sessions import parse_date_ends
    from market_data_pipeline.ingest.calendar_check import check_calendar, write_differences
    from market_data_pipeline.sources.ibkr import Hours, IbkrGateway

    if write and hours == "all":
        raise UsageError("An override says when regular hours begin and end, so --write cannot go with --hours all.")
    place = Place.of(context, catalog, config)
    first, last = parse_date_ends(start, end)
    with IbkrGateway(gateway_settings(host, port, client_id), hear_while_preparing) as gateway:
        found = check_calendar(gateway, instrument, first, last, Hours(hours))
    file = None
    if write and found.found:
        with place.opened() as stored:
            file = write_differences(stored, found, dt.datetime.now(dt.UTC).date())
    if as_json:
        show_json(look.to_json(found, file))
    else:
        say(look.lines(found, file, place.command))
    if found.found and file is None:
        raise typer.Exit(1)
