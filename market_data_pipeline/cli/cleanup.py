"""What processes of ours left behind, and freeing it: only what belongs to nobody any more."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.layout import TEMPORARY_PREFIX
from market_data_pipeline.catalog.reconcile import clear_killed
from market_data_pipeline.catalog.writer import series_lock
from market_data_pipeline.domain.errors import SeriesLocked
from market_data_pipeline.pacing import PacingTable, read_profile
from market_data_pipeline.sources.ibkr import IbkrSettings
from market_data_pipeline.sources.ibkr.client_ids import free_unused

# A definition is written in milliseconds.
_SURELY_OVER_S = 60.0


@dataclass(frozen=True)
class Cleaned:
    """What was freed.

    Attributes:
        client_ids: Lock files of client ids that no process holds, by name.
        slots: Open pacing slots, and places in the queue, of processes that are gone.
        files: Temporary files in the catalog, of writers that were killed.
    """

    client_ids: tuple[str, ...]
    slots: int
    files: tuple[Path, ...]

    @property
    def nothing(self) -> bool:
        """True where nothing was left behind."""
        return not (self.client_ids or self.slots or self.files)


def clean_up(catalog: Catalog, settings: IbkrSettings) -> Cleaned:
    """Free client ids, pacing slots and temporary files of processes that are gone. What is in use stays."""
    client_ids = tuple(file.stem for file in free_unused(settings))
    with PacingTable.open(settings.pacing_db, read_profile(settings.pacing)) as table:
        slots = table.free_dead()
    return Cleaned(client_ids, slots, (*_of_series(catalog), *_of_instruments(catalog)))


def _of_series(catalog: Catalog) -> list[Path]:
    """Remove what killed writers left in the folders of series that nobody writes now."""
    removed = []
    for folder in catalog.layout.series_folders():
        stage = catalog.layout.compacting / folder.name
        left = [*sorted(folder.glob(f"{TEMPORARY_PREFIX}*")), *([stage] if stage.is_dir() else ())]
        if left:
            with suppress(SeriesLocked), series_lock(catalog.layout, folder.name, 0):
                clear_killed(catalog.layout, folder)
                removed += [path for path in left if not path.exists()]
    return removed


def _of_instruments(catalog: Catalog) -> list[Path]:
    data, removed = catalog.root / "data", []
    for path in sorted(data.glob(f"*/*/{TEMPORARY_PREFIX}*")):
        if path.parent.parent != catalog.layout.bars and time.time() - path.stat().st_mtime > _SURELY_OVER_S:
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed
