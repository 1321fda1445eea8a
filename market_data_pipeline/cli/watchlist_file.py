"""The watchlist as a file that commands edit: every other character stays as it was written, and a wrong result never replaces it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, iso_pair
from market_data_pipeline.configuration import add_items, mistakes_in, parse_yaml, read_text, remove_items
from market_data_pipeline.domain.bar_types import Series, parse_instrument_id
from market_data_pipeline.domain.errors import ConfigurationError, UsageError
from market_data_pipeline.watchlist import Universe, Watchlist, WatchlistFile


@dataclass(frozen=True)
class Edited:
    """What an edit did.

    Attributes:
        path: The file.
        universe: Name of the universe.
        changed: Instruments that were added, or removed.
        unchanged: Instruments that were there before, or were not.
    """

    path: Path
    universe: str
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


class WatchlistOnDisk:
    """A watchlist's file.

    Args:
        path: Where it is.

    Raises:
        UsageError: If there is none.
    """

    def __init__(self, path: Path | None) -> None:
        if path is None or not path.is_file():
            where = "config/watchlist.yaml is not there" if path is None else f"there is no file {path}"
            raise UsageError(f"There is no watchlist: {where}. Name one with --config YAML, or with the environment variable MDP_CONFIG.")
        self.path = path

    @cached_property
    def text(self) -> str:
        """What it says."""
        return read_text(self.path)

    def read(self) -> Watchlist:
        """Return the watchlist.

        Raises:
            ConfigurationError: If it is wrong; the message names file, line and key.
        """
        return self._parsed(self.text)

    def mistakes(self) -> list[str]:
        """Return every mistake of the watchlist, and of the definitions of instruments that it names, each with its line."""
        found = mistakes_in(self.text, str(self.path), WatchlistFile)
        if found:
            return found
        file = parse_yaml(self.text, str(self.path), WatchlistFile).instruments
        if file is None:
            return []
        definitions = self.path.absolute().parent / file
        try:
            return mistakes_in(read_text(definitions), str(definitions), InstrumentDefinitions)
        except ConfigurationError as error:
            return [str(error)]

    def add(self, universe: str, ids: Sequence[str]) -> Edited:
        """Add instruments to a universe.

        Raises:
            UsageError: If an id is none, or there is no such universe.
            ConfigurationError: If the file would be wrong then, or its list is written in a way that is not edited; nothing is changed.
        """
        there = self._universe(universe).instruments
        wanted = _ids(ids)
        self._replace(add_items, universe, wanted)
        return Edited(self.path, universe, tuple(one for one in wanted if one not in there), tuple(one for one in wanted if one in there))

    def remove(self, universe: str, ids: Sequence[str]) -> Edited:
        """Remove instruments from a universe; what is stored of them stays.

        Raises:
            UsageError: If there is no such universe, or it would be left without instruments.
            ConfigurationError: As `add`.
        """
        there = self._universe(universe).instruments
        wanted = list(dict.fromkeys(ids))
        if set(there) <= set(wanted):
            raise UsageError(
                f"{universe} would have no instrument left, and a universe needs one. Take the universe itself out of {self.path} in an editor."
            )
        self._replace(remove_items, universe, wanted)
        return Edited(self.path, universe, tuple(one for one in wanted if one in there), tuple(one for one in wanted if one not in there))

    def _universe(self, name: str) -> Universe:
        universes = self.read().universes
        if name not in universes:
            raise UsageError(f"There is no universe {name!r} in {self.path}. There are: {', '.join(universes)}.")
        return universes[name]

    def _replace(self, edit: Callable[[str, Sequence[str], Sequence[str], str], str], universe: str, ids: Sequence[str]) -> None:
        text = edit(self.text, ("universes", universe, "instruments"), ids, str(self.path))
        if text == self.text:
            return
        try:
            self._parsed(text)
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.path} was not changed, for it would be wrong then: {error}") from None
        if read_text(self.path) != self.text:
            raise ConfigurationError(f"{self.path} was changed by somebody else meanwhile. Nothing was written; run the command again.")
        _write_whole(self.path, text)

    def _parsed(self, text: str) -> Watchlist:
        return Watchlist(self.path.absolute(), parse_yaml(text, str(self.path), WatchlistFile))


def _ids(ids: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(str(parse_instrument_id(one)) for one in ids))


def _write_whole(path: Path, text: str) -> None:
    """Put text in the place of a file, whole or not at all; a link stays a link, and the file's mode what it was."""
    target = path.resolve()
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(text.encode())
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).chmod(target.stat().st_mode)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remarks(watchlist: Watchlist) -> list[str]:
    """Return what a person should know of a watchlist that is right: files that are not there, definitions that nobody gave."""
    found = []
    for name, universe in watchlist.universes.items():
        if universe.files is None:
            continue
        series = [Series.of(instrument, spec) for instrument in universe.instruments for spec in universe.bars if spec not in universe.derived]
        found += [
            f"{name}: there is no file {universe.files.pattern_of(one)} of {one} yet."
            for one in series
            if not universe.files.paths(watchlist.project, one)
        ]
        defined = {one.id for one in watchlist.definitions.instruments} if watchlist.definitions else set()
        undefined = [one for one in universe.instruments if one not in defined and iso_pair(one) is None]
        found += [f"{name}: {one} is not in the file of definitions; mdp instruments define {one} shows what to write there." for one in undefined]
    return found
