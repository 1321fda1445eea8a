"""What lies where in a catalog that another program wrote."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from market_data_pipeline.catalog.instrument_files import FOLDERS
from market_data_pipeline.catalog.layout import SUFFIX
from market_data_pipeline.domain.bar_types import path_name
from market_data_pipeline.domain.errors import StorageFailed, UsageError
from market_data_pipeline.sources.nautilus.bar_files import SoundBarFile, look_at

_DATA = "data"
# `bar.parquet/bar_type=...` is how catalogs of 2022 were laid out.
_BAR_FOLDERS = ("bar", "bars", f"bar{SUFFIX}")
_PARTITION_PREFIXES = ("bar_type=", "instrument_id=")
_BAR_TYPE = re.compile(r".+-\d+-[A-Z_]+-[A-Z]+-(EXTERNAL|INTERNAL).*")
_STREAMS = ("backtest", "live")


@dataclass(frozen=True)
class NotAdopted:
    """Data of a kind that is not taken over.

    Attributes:
        where: Folder, below the catalog's.
        files: How many files lie there.
        reason: Why they stay where they are.
    """

    where: str
    files: int
    reason: str


@dataclass(frozen=True)
class ForeignCatalog:
    """The files of a catalog.

    Attributes:
        root: Its folder.
        bars: Bar files by the name of their folder, without the slash of currency pairs, sorted; files that lie in none stand under "". See
            `series`.
        instruments: Files of instrument definitions, sorted.
        not_adopted: What else lies there.
    """

    root: Path
    bars: dict[str, tuple[Path, ...]]
    instruments: tuple[Path, ...]
    not_adopted: tuple[NotAdopted, ...]

    @classmethod
    def open(cls, path: Path) -> ForeignCatalog:
        """List a catalog; opens no file of it.

        Args:
            path: Its folder, or the folder `data` in it.

        Raises:
            UsageError: If there is no such folder, or nothing in it that Nautilus could have written.
            StorageFailed: If a folder in it cannot be listed.
        """
        root = path.resolve()
        if not root.is_dir():
            raise UsageError(f"{path} is no folder. Name the folder of a Nautilus catalog: the one that holds data/bar/.")
        if root.name == _DATA and not (root / _DATA).is_dir():
            root = root.parent
        data = root / _DATA
        if not data.is_dir():
            raise UsageError(f"{path} holds no folder data/, so it is no Nautilus catalog. Name the folder that holds data/bar/.")
        bars: dict[str, list[Path]] = {}
        instruments: list[Path] = []
        others: Counter[str] = Counter()
        for file in _files_below(data):
            kind, *folders = file.relative_to(data).parts[:-1] or ("",)
            if kind in _BAR_FOLDERS and file.name.endswith(SUFFIX):
                bars.setdefault(_series_name(folders), []).append(file)
            elif kind in FOLDERS.values() and file.name.endswith(SUFFIX):
                instruments.append(file)
            else:
                others[kind] += 1
        for stream in _STREAMS:
            others[f"../{stream}"] += sum(1 for _ in _files_below(root / stream))
        left = tuple(NotAdopted(_where(kind), files, _reason(kind)) for kind, files in sorted(others.items()) if files)
        return cls(root, {name: tuple(sorted(files)) for name, files in sorted(bars.items())}, tuple(sorted(instruments)), left)

    def series(self) -> dict[str, tuple[Path, ...]]:
        """Return the bar files by series: named as Nautilus names the folder of its bar type, sorted.

        Folders of that shape are taken at their word, for opening a million footers would take minutes. Files elsewhere (in no folder, in one
        of an instrument) are asked for theirs; those that do not answer stay under the name of their folder.
        """
        found: dict[str, list[Path]] = {}
        for folder, paths in self.bars.items():
            if _BAR_TYPE.fullmatch(folder):
                found.setdefault(folder, []).extend(paths)
                continue
            for path in paths:
                one = look_at(path)
                name = path_name(one.bar_type) if isinstance(one, SoundBarFile) else folder or "files in no folder"
                found.setdefault(name, []).append(path)
        return {name: tuple(found[name]) for name in sorted(found)}

    def name_of(self, path: Path) -> str:
        """Return a file's place below the catalog's folder."""
        return str(path.relative_to(self.root))


def _files_below(folder: Path) -> list[Path]:
    """Return all files below a folder, also behind links to folders; no folder twice, for links may lead in a circle."""
    seen: set[str] = set()
    found = []
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        found += [Path(place) / name for name in names]
    return sorted(found)


def _refuse(error: OSError) -> None:
    """Stop at a folder that cannot be listed: what lies in it would be passed over in silence. One that is not there holds nothing."""
    if not isinstance(error, FileNotFoundError):
        raise StorageFailed(f"{error.filename} cannot be listed: {error.strerror}. Nothing was written. Make it readable and run this again.")


def _series_name(folders: list[str]) -> str:
    name = "/".join(folders)
    for prefix in _PARTITION_PREFIXES:
        name = name.removeprefix(prefix)
    return path_name(name)


def _where(kind: str) -> str:
    return kind.removeprefix("../") if kind.startswith("../") else f"{_DATA}/{kind}".rstrip("/")


def _reason(kind: str) -> str:
    if kind.startswith("../"):
        return "streams of a run, no catalog data"
    if kind in _BAR_FOLDERS or kind in FOLDERS.values():
        return "no Parquet files"
    return f"{kind or 'files in no folder'}: only bars and instrument definitions are adopted"
