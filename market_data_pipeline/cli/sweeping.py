"""`mdp backtest sweep` as it is carried out: with progress, and with what stands after Ctrl-C."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from market_data_pipeline.backtest.sweep import Combined, prepare_sweep, run_sweep
from market_data_pipeline.backtest.sweep_results import KeptSweep, load_sweep
from market_data_pipeline.backtest.sweep_table import FAILED, outcome
from market_data_pipeline.cli.endings import Stopped
from market_data_pipeline.cli.output import note
from market_data_pipeline.cli.progress import Meter, steps
from market_data_pipeline.cli.words import count
from market_data_pipeline.domain.errors import BacktestFailed
from market_data_pipeline.parallel import cores

if TYPE_CHECKING:
    from market_data_pipeline.backtest import BacktestSpec
    from market_data_pipeline.catalog import Catalog


def sweep_with_progress(catalog: Catalog, spec: BacktestSpec, results: Path, processes: int | None) -> KeptSweep:
    """Run a sweep, or what is left of it.

    Args:
        catalog: Where bars and instruments are.
        spec: With a grid.
        results: Where results are kept.
        processes: How many at once; None is one a core.

    Raises:
        MarketDataError: As the use case does.
        BacktestFailed: If no combination could be run.
        Stopped: On Ctrl-C, with how far it came.
    """
    with steps() as progress:
        sweep = prepare_sweep(catalog, spec, results, progress)
    finished, of = len(sweep.finished()), len(spec.combinations)
    at_once = max(1, min(processes or cores(), of - finished))
    if finished:
        note(f"{finished:,} of {count(of, 'combination')} have a result on the same bars, and are not run again.")
    if finished < of:
        note(f"Running {count(of - finished, 'combination')}, {at_once} at once, each on {count(sweep.evidence.bars, 'bar')}")
    with Meter() as meter, closing(run_sweep(sweep, at_once)) as events:
        _follow(events, meter, finished, of)
    kept = load_sweep(sweep.folder)
    if kept.best is None:
        raise BacktestFailed(f"None of {count(of, 'combination')} of {spec.name} could be run. The first: {kept.rows[0].reason}")
    return kept


def _follow(events: Generator[Combined, None, object], meter: Meter, finished: int, of: int) -> None:
    done = finished
    try:
        # Time left is told from those that run now: those of before took none.
        if finished < of:
            meter.show("Sweeping", 0, of - finished)
        for event in events:
            done = event.done
            meter.show("Sweeping", done - finished, of - finished)
            if event.row.outcome == FAILED:
                meter.line(f"{', '.join(f'{name} {value}' for name, value in event.row.values.items())}: {outcome(event.row)}")
    except KeyboardInterrupt:
        events.close()  # writes the table of what has run; only then is it true that it stands
        raise Stopped(
            f"Stopped after {done:,} of {count(of, 'combination')}. Their results are whole and stay; the same command goes on from there."
        ) from None
