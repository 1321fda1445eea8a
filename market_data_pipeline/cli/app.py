"""What commands there are. Light to import: whatever is heavy is imported inside the command that needs it."""

from __future__ import annotations

from typing import Annotated

import typer

from market_data_pipeline import __version__
from market_data_pipeline.cli import backtest, calendar, catalog, ibkr, inbox, instruments, migrate, watchlist
from market_data_pipeline.cli.check import check
from market_data_pipeline.cli.import_csv import import_csv
from market_data_pipeline.cli.load import load
from market_data_pipeline.cli.options import CatalogOption, ConfigOption
from market_data_pipeline.cli.revisions import revisions
from market_data_pipeline.cli.warmup import warmup

_HELP = """Bars a trader can trust, in a Parquet catalog that any Nautilus tool reads.

    \b
    Examples:
      mdp import-csv AAPL.csv --instrument AAPL.NASDAQ --bar 1-MINUTE-LAST --timezone America/New_York --stamp open
      mdp load AAPL.NASDAQ 1-MINUTE-LAST --start 2024-01-01 --end 2024-01-31
      mdp check AAPL.NASDAQ
      mdp backtest run backtests/sma_cross_aapl.yaml
      mdp catalog verify

    \b
    Exit codes: 0 done, 1 failed, 2 usage, 3 a question nobody could answer, 130 stopped by Ctrl-C.
    """

# Plain help: the boxes of rich would double the time of `mdp --help`, and break when piped.
app = typer.Typer(
    name="mdp",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 120},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mdp {__version__}")
        raise typer.Exit


@app.callback(help=_HELP)
def _everywhere(
    _version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")] = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Take the options that every command has."""


app.command("import-csv", short_help="Store the bars of CSV files.")(import_csv)
app.command("load", short_help="Fetch bars from Interactive Brokers.")(load)
app.command("check", short_help="Say what is stored, what is missing, and what fills it.")(check)
app.command("revisions", short_help="Say which stored bars the broker changed later.")(revisions)
app.command("warmup", short_help="Say whether a live strategy would be ready, and bring what is missing.")(warmup)
app.add_typer(watchlist.app, name="watchlist")
app.add_typer(instruments.app, name="instruments")
app.add_typer(ibkr.app, name="ibkr")
app.add_typer(calendar.app, name="calendar")
app.add_typer(backtest.app, name="backtest")
app.add_typer(catalog.app, name="catalog")
app.add_typer(inbox.app, name="inbox")
app.add_typer(migrate.app, name="migrate")
