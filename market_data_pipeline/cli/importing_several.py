"""`mdp import-csv --jobs N`: several series at once, with one bar of progress for all, and what stands after Ctrl-C."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from market_data_pipeline.calendars import calendar_name_of_venue
from market_data_pipeline.cli.endings import Stopped, error_to_json
from market_data_pipeline.cli.options import Place
from market_data_pipeline.cli.output import Json, note, say, show_json
from market_data_pipeline.cli.progress import Meter
from market_data_pipeline.cli.rendering import imports as look
from market_data_pipeline.cli.words import count
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.ingest.definitions import Definitions, precision_to_use
from market_data_pipeline.ingest.import_files import Done, Rules
from market_data_pipeline.ingest.import_several import HowFar, SeriesImport, import_several
from market_data_pipeline.parallel import Ended


def carry_out_several(place: Place, wanted: Sequence[SeriesImport], rules: Rules, instruments: Path | None, jobs: int, *, as_json: bool) -> int:
    """Import series, several at once, and tell what each did; return the exit code, that of the first series that failed, in the order given.

    Raises:
        MarketDataError: If a series cannot be meant, before anything is read.
        Stopped: On Ctrl-C, with how far it came.
    """
    definitions = Definitions.of(place.config, instruments)
    with place.opened() as catalog:
        for one in wanted:
            calendar_name_of_venue(one.series.venue)
            precision_to_use(catalog, definitions, one.series.instrument_id)
    done, failed = _follow(place, wanted, rules, definitions, min(jobs, len(wanted)))
    if as_json:
        errors: list[Json] = [{"series": series.bar_type, **error_to_json(error)} for series, error in failed]
        show_json({"catalog": str(place.root), "imports": [look.to_json(one) for one in done], "errors": errors})
    else:
        for each in done:
            say(look.lines(each, place.command))
    for series, error in failed:
        note(f"error: {series}: {error}")
    return failed[0][1].exit_code if failed else 0


def _follow(
    place: Place, wanted: Sequence[SeriesImport], rules: Rules, definitions: Definitions, processes: int
) -> tuple[list[Done], list[tuple[Series, MarketDataError]]]:
    """Run the imports to their end; return what was done and what failed, each in the order given."""
    done: dict[int, Done] = {}
    failed: dict[int, MarketDataError] = {}
    far = HowFar(len(wanted))
    with Meter("rows/s") as meter, closing(import_several(place.root, wanted, definitions, rules, processes)) as events:
        try:
            for event in events:
                far.hear(event)
                meter.show(f"Importing {count(len(wanted), 'series', 'series')}, {processes} at once", far.done, far.of, far.rows or None)
                if not isinstance(event, Ended):
                    continue
                if event.result is not None:
                    done[event.piece] = event.result
                elif isinstance(event.error, MarketDataError):
                    failed[event.piece] = event.error
                elif event.error is not None:
                    raise event.error
        except KeyboardInterrupt:
            # Each process ends with a whole session, and brings the ledger up to date.
            events.close()
            raise Stopped(
                f"Stopped after {count(far.sessions, 'session')}; {len(done):,} of {count(len(wanted), 'series', 'series')} came to their end. "
                "All that is stored is whole and stays; the same command goes on from there."
            ) from None
    return [done[i] for i in sorted(done)], [(wanted[i].series, failed[i]) for i in sorted(failed)]
