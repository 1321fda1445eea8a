"""`mdp backtest`: run a backtest on stored bars, and look at what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from market_data_pipeline.cli.options import CatalogOption, ConfigOption, EndOption, JsonOption, Place, StartOption

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Backtests on stored bars.")

_RESULTS = "Where results are kept.  [env: MDP_BACKTESTS; default: backtests, beside the catalog]"
ResultsOption = Annotated[Path | None, typer.Option("--results", metavar="FOLDER", help=_RESULTS)]


@app.command(short_help="Run a backtest.")
def run(
    context: typer.Context,
    spec: Annotated[Path | None, typer.Argument(metavar="SPEC.yaml", help="What to run; or say it with options.")] = None,
    strategy: Annotated[str | None, typer.Option("--strategy", metavar="MODULE:CLASS", help="The strategy's import path.")] = None,
    # The watchlist, which is `--config` elsewhere, plays no part in a backtest.
    strategy_config: Annotated[str | None, typer.Option("--strategy-config", "--config", metavar="JSON", help="The strategy's own settings.")] = None,
    bar_type: Annotated[list[str] | None, typer.Option("--bar-type", metavar="BT", help="AAPL.NASDAQ-1-MINUTE-LAST; again for several.")] = None,
    start: StartOption = None,
    end: EndOption = None,
    balance: Annotated[list[str] | None, typer.Option("--balance", metavar="MONEY", help='Starting balance, for example "100000 USD".')] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Ask Interactive Brokers for missing sessions first.")] = False,
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="Run although sessions are missing; the passport says which.")] = False,
    name: Annotated[str | None, typer.Option("--name", metavar="N", help="Part of the result's id.  [default: the strategy's class]")] = None,
    results: ResultsOption = None,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
) -> None:
    """Run a backtest; refuses a range with missing sessions unless --allow-gaps.

    With a SPEC.yaml, the options --start, --end, --balance, --fetch, --allow-gaps and --name win over what it says.

    \b
    Examples:
      mdp backtest run backtests/sma_cross_aapl.yaml
      mdp backtest run --bar-type AAPL.NASDAQ-1-MINUTE-LAST --start 2024-01-02 --end 2024-03-28 --balance "100000 USD"
      mdp backtest run --strategy my.module:MyStrategy --config '{"period": 20}' --bar-type EUR/USD.IDEALPRO-15-MINUTE-MID \\
          --start 2024-01-02 --end 2024-03-28 --balance "100000 USD"
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.backtest.run import run_backtest
    from market_data_pipeline.cli.backtest_options import Typed, results_folder, spec_of
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.progress import steps
    from market_data_pipeline.cli.rendering import backtests as look

    place = Place.of(context, catalog, None)
    wanted = spec_of(spec, Typed(strategy, strategy_config, bar_type or [], start, end, balance or [], fetch, allow_gaps, name))
    with place.opened() as stored:
        if wanted.fetch:
            from market_data_pipeline.backtest.engine import require_settings
            from market_data_pipeline.cli.backtest_fetching import fetch_for_backtest
            from market_data_pipeline.cli.deriving import watchlist_of

            require_settings(wanted.strategy, wanted.strategy.config)  # before anybody is asked
            fetch_for_backtest(stored, wanted, watchlist_of(place))
        with steps() as progress:
            outcome = run_backtest(stored, wanted, results_folder(place, results), progress)
    if as_json:
        show_json(look.to_json(outcome.result))
    else:
        say(look.lines(outcome.result))


@app.command(short_help="Run a backtest for each combination of a grid.")
def sweep(
    context: typer.Context,
    spec: Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="What to run, with a grid: settings of the strategy and their values.")],
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", metavar="N", min=1, help="Processes at once.  [default: one a core]")] = None,
    start: StartOption = None,
    end: EndOption = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Ask Interactive Brokers for missing sessions first.")] = False,
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="Run although sessions are missing; the passports say which.")] = False,
    name: Annotated[str | None, typer.Option("--name", metavar="N", help="Part of the sweep's id.")] = None,
    results: ResultsOption = None,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
) -> None:
    """Run a backtest for each combination of the spec's grid, over the cores, all on the same bars.

    A combination that fails is a row with its reason. After Ctrl-C what has run stays, and the same command goes on from there. Run again on the
    same bars with the same strategy, nothing is run twice.

    \b
    Example of a grid in SPEC.yaml:
      grid: {fast_period: [20, 40, 60], slow_period: [130, 260]}
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.backtest_options import Typed, results_folder, spec_of
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import sweeps as look
    from market_data_pipeline.cli.sweeping import sweep_with_progress

    place = Place.of(context, catalog, None)
    wanted = spec_of(spec, Typed(None, None, [], start, end, [], fetch, allow_gaps, name))
    with place.opened() as stored:
        if wanted.fetch:
            from market_data_pipeline.cli.backtest_fetching import fetch_for_backtest
            from market_data_pipeline.cli.deriving import watchlist_of

            fetch_for_backtest(stored, wanted, watchlist_of(place))
        kept = sweep_with_progress(stored, wanted, results_folder(place, results), jobs)
    if as_json:
        show_json(look.to_json(kept))
    else:
        say(look.lines(kept, place.command))


@app.command("list", short_help="List the backtests and sweeps that were run.")
def list_(
    context: typer.Context,
    results: ResultsOption = None,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """List the backtests and sweeps that were run, oldest first."""
    from market_data_pipeline.backtest.results import list_results
    from market_data_pipeline.backtest.sweep_results import list_sweeps
    from market_data_pipeline.cli.backtest_options import results_folder
    from market_data_pipeline.cli.output import say, show_json, show_table
    from market_data_pipeline.cli.rendering import backtests as look
    from market_data_pipeline.cli.rendering import sweeps as look_at_sweeps

    place = Place.of(context, catalog, config)
    folder = results_folder(place, results)
    found, sweeps = list_results(folder), list_sweeps(folder)
    if as_json:
        told = {"backtests": [look.summary_to_json(one) for one in found], "sweeps": [look_at_sweeps.summary_to_json(one) for one in sweeps]}
        show_json({"results": str(folder), **told})
        return
    if found:
        show_table(look.HEADERS, map(look.row, found), look.NUMBERS)
    if sweeps:
        show_table(look_at_sweeps.HEADERS, map(look_at_sweeps.row, sweeps), look_at_sweeps.NUMBERS)
    if not found and not sweeps:
        say(f"No backtest is kept in {folder} yet. Run one: {place.command('backtest', 'run', 'SPEC.yaml')}")


@app.command(short_help="Show what came out of a backtest or a sweep.")
def show(
    context: typer.Context,
    backtest_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, the beginning of it, or a name for the newest of that name.")],
    results: ResultsOption = None,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Show a backtest: statistics, on what it stands, and where its files are. Of a sweep: its combinations, best first."""
    from market_data_pipeline.backtest.sweep_results import KeptSweep, find_kept
    from market_data_pipeline.cli.backtest_options import results_folder
    from market_data_pipeline.cli.output import say, show_json
    from market_data_pipeline.cli.rendering import backtests as look
    from market_data_pipeline.cli.rendering import sweeps as look_at_sweeps

    place = Place.of(context, catalog, config)
    found = find_kept(results_folder(place, results), backtest_id)
    if isinstance(found, KeptSweep):
        if as_json:
            show_json(look_at_sweeps.to_json(found))
        else:
            say(look_at_sweeps.lines(found, place.command))
    elif as_json:
        show_json(look.to_json(found))
    else:
        say(look.lines(found))
