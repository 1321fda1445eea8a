"""An adoption as `mdp catalog adopt` carries it out, with a bar of progress."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from market_data_pipeline.cli.endings import Stopped
from market_data_pipeline.cli.options import Place
from market_data_pipeline.cli.progress import Meter
from market_data_pipeline.ingest.adopt import AdoptStep, PreferFile, adopt, adopted
from market_data_pipeline.ingest.adopt_report import AdoptReport
from market_data_pipeline.ingest.import_csv import OnConflict, Run
from market_data_pipeline.sources.nautilus.stamps import StampEnd


def carry_out(
    place: Place,
    source: Path,
    *,
    prefer: PreferFile,
    on_conflict: OnConflict,
    stamp: StampEnd | None,
    hours: str | None,
    run: Run,
) -> AdoptReport:
    """Adopt, showing how far it is.

    Raises:
        MarketDataError: As the use case does.
        Stopped: On Ctrl-C.
    """
    with place.opened() as catalog, Meter("rows/s") as meter:

        def hear(step: AdoptStep) -> None:
            meter.show(step.doing, step.done, step.of, step.rows)

        with closing(adopt(catalog, source, prefer=prefer, on_conflict=on_conflict, stamp=stamp, hours=hours, run=run)) as steps:
            try:
                return adopted(steps, hear)
            except KeyboardInterrupt:
                # Closing commits what is stored; only then is it true that it stands.
                steps.close()
                raise Stopped("Stopped. Sessions that are stored are whole and stay; the same command goes on from there.") from None
