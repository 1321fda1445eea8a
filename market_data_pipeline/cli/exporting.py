"""An export as `mdp catalog export` carries it out: which series, where to, with a bar of progress."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.bar_format import write_atomically
from market_data_pipeline.cli.endings import Stopped
from market_data_pipeline.cli.options import Place
from market_data_pipeline.cli.progress import Meter
from market_data_pipeline.cli.series_check import Wanted, find_series
from market_data_pipeline.cli.words import count, listed
from market_data_pipeline.domain.bar_types import BarSpec, Series
from market_data_pipeline.domain.errors import ConfigurationError, InvalidBarType, NotStored, UsageError
from market_data_pipeline.ingest.export import (
    Exported,
    Exporting,
    How,
    Selection,
    Target,
    export_to_files,
    export_to_pipe,
    file_in_folder,
    file_name,
    metadata_of,
    refuse_incomplete,
    select,
)
from market_data_pipeline.ingest.export_columns import Numbers, StampedAt
from market_data_pipeline.ingest.export_sinks import Existing, Format, refuse_existing

PIPE = "-"
_ENDINGS = {".csv": Format.CSV, ".parquet": Format.PARQUET, ".pq": Format.PARQUET, ".arrow": Format.ARROW, ".feather": Format.ARROW}


@dataclass(frozen=True)
class Asked:
    """What was typed.

    Attributes:
        wanted: Series and range.
        every: Whether all series are meant.
        universe: The universe that is meant, or None.
        out: Where to; None is a file in this folder.
        form: The format.
    """

    wanted: Wanted
    every: bool
    universe: str | None
    out: str | None
    form: Format

    @classmethod
    def parse(
        cls,
        words: Sequence[str],
        bar: str | None,
        start: str | None,
        end: str | None,
        *,
        every: bool,
        universe: str | None,
        out: str | None,
        form: str | None,
    ) -> Asked:
        """Build from what was typed: words are ids and bar types, and at most one is a bar spec.

        Raises:
            UsageError: If it names nothing, too much, or two different things.
        """
        specs = [word for word in words if _is_spec(word)]
        if len({*specs, *([bar] if bar else [])}) > 1:
            raise UsageError(f"Several bar specs were given ({', '.join([*specs, *([bar] if bar else [])])}). Give one, or none for all.")
        ids = [word for word in words if word not in specs]
        wanted = Wanted.parse(ids, bar or (specs[0] if specs else None), start, end)
        named = [text for text, given in (("instrument ids", ids), ("--all", every), ("--universe", universe)) if given]
        if not named:
            raise UsageError(
                "Say what to export: an instrument id and a bar spec (mdp catalog export AAPL.NASDAQ 1-MINUTE-LAST), --universe NAME, or --all."
            )
        if len(named) > 1:
            raise UsageError(f"{' and '.join(named)} say different things. Give one of them.")
        return cls(wanted, every, universe, out, _format(out, form))

    @property
    def to_pipe(self) -> bool:
        """True where bars go to stdout."""
        return self.out == PIPE

    def how(self, stamp: str, time_zone: str, numbers: str | None, columns: tuple[str, ...]) -> How:
        """Return how to write.

        Raises:
            UsageError: If CSV is to have floats.
        """
        if self.form is Format.CSV and numbers == Numbers.FLOAT:
            raise UsageError("--numbers float is for Parquet and Arrow. A CSV file is text: what reads it makes floats of it, or decimals.")
        return How(self.form, StampedAt(stamp), time_zone, Numbers(numbers or Numbers.DECIMAL), columns)


@dataclass(frozen=True)
class Done:
    """What was exported, into which folder where there are several, and what a universe lacks."""

    exported: tuple[Exported, ...]
    folder: Path | None
    not_stored: tuple[Series, ...] = ()


def _is_spec(word: str) -> bool:
    if "." in word:
        return False
    try:
        BarSpec.parse(word)
    except InvalidBarType:
        # Three parts, the last a price type: meant as a spec, and its error says what is wrong.
        if word.count("-") == 2 and not word.endswith("-EXTERNAL"):
            raise
        return False
    return True


def _format(out: str | None, given: str | None) -> Format:
    """Return the format that was named, or that of the file's ending.

    Raises:
        UsageError: If both were given and differ, or something else than CSV is to be zipped.
    """
    name = (out or "").lower().removesuffix(".gz")
    by_ending = next((form for ending, form in _ENDINGS.items() if name.endswith(ending)), None)
    form = Format(given) if given is not None else by_ending or Format.CSV
    if by_ending is not None and by_ending is not form:
        raise UsageError(f"--out {out} ends as a file of {by_ending} does, and --format says {form}. Give one of them.")
    if name != (out or "").lower() and form is not Format.CSV:
        raise UsageError(f"--out {out}: only CSV is compressed by gzip; files of {form} are read in pieces. Leave .gz away.")
    return form


def carry_out(place: Place, asked: Asked, how: How, *, strict: bool, overwrite: bool, describe: bool, as_json: bool) -> Done:
    """Export, and say what was done.

    Raises:
        MarketDataError: As the use case does.
        Stopped: On Ctrl-C, with the files that are whole.
    """
    with place.opened() as catalog:
        series, absent = _series(place, catalog, asked)
        selections, without = _selections(catalog, series, asked)
        if strict:
            refuse_incomplete(selections)
            if absent:
                raise NotStored(f"Nothing is stored of {listed([*absent], 5)}. Nothing was written. Load it first, or export without --strict.")
        if asked.to_pipe:
            return Done((_to_pipe(catalog, selections, how, as_json=as_json, describe=describe),), None)
        targets, folder = _targets(selections, asked)
        existing = Existing.REPLACE if overwrite else Existing.REFUSE
        if describe and not overwrite:
            refuse_existing([_description_of(target.file) for target in targets])
        with Meter("bars/s") as meter:
            done = _follow(export_to_files(catalog, targets, how, existing), meter)
        if describe:
            for one in done:
                _describe(one)
        return Done(done, folder, (*absent, *without))


def _series(place: Place, catalog: Catalog, asked: Asked) -> tuple[list[Series], list[Series]]:
    """Return the series that are meant and stored, and those of a universe that are not.

    Raises:
        NotStored: If nothing is stored of something that was named.
        ConfigurationError: If there is no such universe.
    """
    if asked.universe is not None:
        return _of_universe(place, catalog, asked.universe, asked.wanted.spec)
    found = [one.series for one in find_series(catalog, asked.wanted)]
    if not found:
        raise NotStored(f"Nothing is stored in {catalog.root}, so there is nothing to export. Store bars with mdp import-csv or mdp load.")
    for name in asked.wanted.ids:
        if not any(name in (one.instrument_id, one.bar_type) for one in found):
            raise NotStored(f"No {asked.wanted.spec} bars of {name} are stored in {catalog.root}. Nothing was written. See what is: mdp check {name}")
    return found, []


def _of_universe(place: Place, catalog: Catalog, name: str, spec: BarSpec | None) -> tuple[list[Series], list[Series]]:
    from market_data_pipeline.watchlist import read_watchlist

    if place.config is None:
        raise UsageError("--universe names one of the watchlist, and there is no watchlist. Name it with --config YAML.")
    universes = read_watchlist(place.config).universes
    if name not in universes:
        raise ConfigurationError(f"--universe: {place.config} has no {name!r}. It has {', '.join(universes)}.")
    universe = universes[name]
    specs = [one for one in universe.bars if spec is None or one == str(spec)]
    wanted = [Series.of(instrument, one) for instrument in universe.instruments for one in specs]
    stored = set(catalog.series())
    if not stored & set(wanted):
        raise NotStored(f"Nothing of the universe {name}{f' with {spec} bars' if spec else ''} is stored in {catalog.root}.")
    return [one for one in wanted if one in stored], [one for one in wanted if one not in stored]


def _selections(catalog: Catalog, series: Sequence[Series], asked: Asked) -> tuple[list[Selection], list[Series]]:
    """Return what is stored of each series in the range, and the series of which nothing is, which only matters where none was named.

    Raises:
        NotStored: If nothing of a series that was named, or of any, is stored in the range.
    """
    found: list[Selection] = []
    without: list[Series] = []
    for one in series:
        try:
            found.append(select(catalog, one, asked.wanted.start, asked.wanted.end))
        except NotStored:
            if asked.wanted.ids or len(series) == 1:
                raise
            without.append(one)
    if not found:
        raise NotStored(f"No bar of any of {count(len(series), 'series', 'series')} is stored in the range. See what is: mdp check")
    return found, without


def _targets(selections: Sequence[Selection], asked: Asked) -> tuple[list[Target], Path | None]:
    """Return the file of each series, and the folder where they are several or a folder was named.

    Raises:
        UsageError: If several series are to go into one file.
    """
    out = asked.out
    into_folder = out is not None and (out.endswith("/") or Path(out).is_dir())
    if len(selections) == 1 and not into_folder and not asked.every and asked.universe is None:
        (one,) = selections
        return [Target(one, Path(out) if out is not None else Path(file_name(one.series, asked.form)))], None
    if out is None or (Path(out).exists() and not Path(out).is_dir()) or _is_file_name(out):
        named = f"--out {out} names a file" if out is not None else "no --out was given"
        raise UsageError(
            f"{count(len(selections), 'series', 'series')} match ({listed([one.series for one in selections], 3)}), and {named}. "
            "Name a folder (--out exported/), which gets one file for each; or choose one series by its id and bar spec."
        )
    folder = Path(out)
    return [Target(one, folder / file_in_folder(one.series, asked.form)) for one in selections], folder


def _is_file_name(out: str) -> bool:
    return not out.endswith("/") and any(out.lower().removesuffix(".gz").endswith(ending) for ending in _ENDINGS)


def _to_pipe(catalog: Catalog, selections: Sequence[Selection], how: How, *, as_json: bool, describe: bool) -> Exported:
    """Write one series to stdout.

    Raises:
        UsageError: If there are several, or what would be written cannot be read there.
    """
    if len(selections) > 1:
        raise UsageError(f"{len(selections)} series match, and a pipe takes one: {listed([one.series for one in selections])}. Choose, or --out DIR.")
    if as_json or describe:
        raise UsageError("With --out - the bars go to stdout, so --json and --describe have no place. Export to a file.")
    if how.form is not Format.CSV and sys.stdout.isatty():
        raise UsageError(f"A terminal cannot show {how.form}. Send it on (… --out - | python plot.py), or name a file with --out.")
    sys.stdout.flush()
    steps = export_to_pipe(catalog, selections[0], how, sys.stdout.buffer)
    with closing(steps):
        while True:
            try:
                next(steps)
            except StopIteration as end:
                exported: Exported = end.value
                return exported


def _follow(steps: Generator[Exporting | Exported, None, tuple[Exported, ...]], meter: Meter) -> tuple[Exported, ...]:
    files = 0
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                done: tuple[Exported, ...] = end.value
                return done
            except KeyboardInterrupt:
                whole = f"{count(files, 'file')} before it {'is' if files == 1 else 'are'} whole and stay." if files else "No file was written."
                raise Stopped(f"Stopped. {whole}") from None
            if isinstance(step, Exported):
                files += 1
            else:
                meter.show("Exporting", step.done, step.of, step.done)


def _description_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def _describe(exported: Exported) -> None:
    """Write what a file says of itself beside it: CSV has no place for it inside."""
    assert exported.file is not None
    content: dict[str, object] = {**metadata_of(exported.selection, exported.columns), "columns": list(exported.columns.names), "bars": exported.bars}
    content |= {"gaps": [[str(gap.first), str(gap.last)] for gap in exported.selection.gaps]}
    content |= {"not_ended": [str(date) for date in exported.selection.running], "exported_at": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"}
    file = _description_of(exported.file)
    write_atomically(file.parent, file.name, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
