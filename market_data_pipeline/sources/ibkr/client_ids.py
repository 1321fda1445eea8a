"""Client ids that no two of our processes use at once.

A gateway refuses a second client of one id (error 326), but says so only after seconds. So ids are leased by file locks, one file per
host, port and id, which the system frees when a process dies.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from market_data_pipeline.domain.errors import SourceUnavailable, StorageFailed
from market_data_pipeline.sources.ibkr.settings import IbkrSettings


@dataclass(frozen=True)
class ClientId:
    """A client id that is ours until it is released."""

    number: int
    lock: FileLock

    def release(self) -> None:
        """Free the id for others."""
        self.lock.release(force=True)


def lock_folder(settings: IbkrSettings) -> Path:
    """Return the folder of the id locks."""
    return settings.state_folder / "clients"


def lock_file(settings: IbkrSettings, number: int) -> Path:
    """Return the lock file of a client id."""
    host = re.sub(r"[^A-Za-z0-9.-]", "_", settings.host.lower())
    return lock_folder(settings) / f"{host}_{settings.port}_{number}.lock"


def lease(settings: IbkrSettings, refused: Collection[int] = ()) -> ClientId:
    """Take the first free id of the range.

    Args:
        settings: Names the gateway and the range.
        refused: Ids that the gateway has said are in use, by a client that is none of ours.

    Raises:
        SourceUnavailable: If no id of the range is free.
        StorageFailed: If the lock files cannot be written.
    """
    numbers = range(settings.client_id, settings.client_id + settings.client_ids)
    try:
        lock_folder(settings).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            if number in refused:
                continue
            lock = FileLock(lock_file(settings, number), thread_local=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            return ClientId(number, lock)
    except OSError as error:
        raise StorageFailed(
            f"Locking a client id in {lock_folder(settings)} failed: {error.strerror or error}. Set IB_STATE to another folder."
        ) from error
    raise SourceUnavailable(
        f"All {len(numbers)} client ids from {numbers[0]} to {numbers[-1]} are in use at {settings.place}"
        f"{f' ({len(refused)} of them by other programs)' if refused else ''}. "
        "Stop a program that is connected, or give another range: IB_CLIENT_ID=first IB_CLIENT_IDS=count. Locks left behind go with: mdp ibkr cleanup"
    )


def free_unused(settings: IbkrSettings) -> list[Path]:
    """Remove the lock files that no process holds, of every gateway, and return them."""
    freed = []
    for file in sorted(lock_folder(settings).glob("*.lock")):
        lock = FileLock(file, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        file.unlink(missing_ok=True)
        lock.release(force=True)
        freed.append(file)
    return freed
