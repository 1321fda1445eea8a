"""The command that fills a gap, or starts a catalog."""

from __future__ import annotations

from pathlib import Path

from market_data_pipeline.catalog.derived import DERIVED
from market_data_pipeline.cli.options import Place
from market_data_pipeline.cli.output import note
from market_data_pipeline.cli.series_check import SeriesCheck
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import ConfigurationError


def command_that_fills(place: Place, check: SeriesCheck) -> str:
    """Return the command that fills the gaps of a series, from where its bars came: the broker again, or a file.

    With a watchlist that knows the series' files, it can be run as it stands.
    """
    series = check.series
    if check.is_from_broker and check.gaps:
        dates = "--start", str(check.gaps[0].first), "--end", str(check.gaps[-1].last)
        return place.command("load", series.instrument_id, str(series.spec), "--mode", "full", *dates)
    if check.source == DERIVED and check.gaps:
        dates = "--start", str(check.gaps[0].first), "--end", str(check.gaps[-1].last)
        return place.command("load", series.instrument_id, str(series.spec), "--derive", "--mode", "full", *dates)
    files: list[str] = ["FILE"]
    options: list[str] = []
    if place.config is not None:
        try:
            files, options = _by_watchlist(place.config, series) or (files, options)
        except ConfigurationError as error:
            note(f"The watchlist is not used: {error}")  # what is stored can be told without it
    return place.command("import-csv", *files, "--instrument", series.instrument_id, "--bar", str(series.spec), *options)


def command_that_derives_anew(place: Place, check: SeriesCheck) -> str:
    """Return the command that derives the stale sessions of a series anew; empty if there are none."""
    if not check.stale:
        return ""
    first, last = check.stale[0], check.stale[-1]
    dates = "--start", str(first.session), "--end", str(last.session)
    return place.command("load", check.series.instrument_id, str(check.series.spec), "--derive", "--from", str(first.finer), *dates)


def how_to_start(place: Place) -> list[str]:
    """Return what to tell a person whose catalog is empty."""
    return [
        f"Nothing is stored in {place.root} yet. Store bars from a CSV file:",
        f"  {place.command('import-csv', 'FILE', '--instrument', 'AAPL.NASDAQ', '--bar', '1-MINUTE-LAST')}",
        "or from Interactive Brokers, or from its simulator (mdp ibkr simulate):",
        f"  {place.command('load', 'AAPL.NASDAQ', '1-MINUTE-LAST', '--start', '2024-01-02', '--end', '2024-01-05')}",
        "or make sample data and try everything: ./dev run",
    ]


def _by_watchlist(config: Path, series: Series) -> tuple[list[str], list[str]] | None:
    from market_data_pipeline.watchlist import read_watchlist

    watchlist = read_watchlist(config)
    universes = (one for one in watchlist.universes.values() if series.instrument_id in one.instruments and str(series.spec) in one.bars)
    universe = next(universes, None)
    source = universe.files if universe is not None else None
    files = source.paths(watchlist.project, series) if source is not None else []
    if source is None or not files:
        return None
    named = {"--layout": source.layout if isinstance(source.layout, str) else None, "--timezone": source.time_zone, "--stamp": source.stamp}
    return [str(file) for file in files], [word for option, value in named.items() if value for word in (option, value)]
