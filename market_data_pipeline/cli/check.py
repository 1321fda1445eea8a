"""`mdp check`: what is stored, what is not, and the command that fills it. Fetches nothing and makes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from market_data_pipeline.cli.options import BarOption, CatalogOption, ConfigOption, EndOption, IdsArgument, JsonOption, Place, StartOption

# Beyond this many series a table says more than paragraphs.
_IN_WORDS = 3


def check(
    context: typer.Context,
    ids: IdsArgument = None,
    bar: BarOption = None,
    start: StartOption = None,
    end: EndOption = None,
    picture: Annotated[Path | None, typer.Option("--picture", metavar="PNG", help="Also draw a calendar of the coverage of one series.")] = None,
    as_json: JsonOption = False,
    catalog: CatalogOption = None,
    config: ConfigOption = None,
) -> None:
    """Say what is stored, which gaps there are, and what fills them; fetches nothing.

    With --start or --end that range is judged, also before the first and after the last stored session; else what lies between them.

    \b
    Examples:
      mdp check
      mdp check AAPL.NASDAQ
      mdp check AAPL.NASDAQ --bar 1-MINUTE-LAST --start 2024-01-01 --end 2024-12-31
      mdp check EUR/USD.IDEALPRO --picture coverage.png
      mdp check --json | jq '.series[] | select(.complete | not) | .series'
    """  # noqa: D301 - \b keeps the lines below it as they are
    from market_data_pipeline.cli.next_step import command_that_derives_anew, command_that_fills, how_to_start
    from market_data_pipeline.cli.output import say, show_json, show_table
    from market_data_pipeline.cli.rendering import checks as look
    from market_data_pipeline.cli.series_check import Wanted, check_series, find_series

    wanted = Wanted.parse(ids, bar, start, end)
    place = Place.of(context, catalog, config)
    with place.opened() as stored:
        found = find_series(stored, wanted)
        in_words = len(found) <= _IN_WORDS
        checked = [check_series(stored, one, wanted, each_session=in_words or bool(ids)) for one in found]
        if picture is not None:
            from market_data_pipeline.cli.pictures import draw_coverage

            draw_coverage(stored, checked, picture)
    if as_json:
        fills = [command_that_fills(place, one) if one.gaps else "" for one in checked]
        show_json({"catalog": str(place.root), "series": [look.to_json(one, fill) for one, fill in zip(checked, fills, strict=True)]})
    elif not found:
        say(how_to_start(place))
    elif in_words:
        for one in checked:
            text = look.lines(one, command_that_fills(place, one) if one.gaps else "", command_that_derives_anew(place, one))
            say([*text, *place.remark(text)])
    else:
        show_table(look.TABLE_HEADERS, map(look.table_row, checked), look.TABLE_NUMBERS)
        say(look.summary(checked, place.command("check", "ID")))
