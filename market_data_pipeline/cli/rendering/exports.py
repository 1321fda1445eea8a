"""How `mdp catalog export` ends."""

from __future__ import annotations

from pathlib import Path

from market_data_pipeline.cli.exporting import Done
from market_data_pipeline.cli.options import Place
from market_data_pipeline.cli.output import Json, paint
from market_data_pipeline.cli.rendering.checks import CONVENTIONS, range_to_json, title
from market_data_pipeline.cli.words import count, duration, listed, size
from market_data_pipeline.domain.coverage import SIMULATED
from market_data_pipeline.ingest.export import Exported, Selection, metadata_of
from market_data_pipeline.ingest.export_columns import Columns, Numbers, StampedAt
from market_data_pipeline.ingest.export_sinks import Format

_LISTED = 5
_IN_WORDS = 3


def lines(done: Done, place: Place) -> list[str]:
    """Return what a person wants to know: what was written, what is missing in it, and the line that reads it."""
    text: list[str] = []
    if len(done.exported) <= _IN_WORDS:
        for one in done.exported:
            text += _in_words(one, place)
    else:
        text += _in_short(done, place)
    if done.not_stored:
        text.append(f"  {paint('not stored', 'yellow')}, and so not there: {listed(done.not_stored, _LISTED)}")
    reading = _reading_folder(done) if done.folder is not None else _reading_file(done.exported[0])
    return [*text, *([f"  read it: {reading}"] if reading else [])]


def _in_words(one: Exported, place: Place) -> list[str]:
    selection = one.selection
    where = f"in {one.file}, {size(one.bytes)}" if one.file is not None else f"to stdout, {size(one.bytes)}"
    span = f"{selection.first} to {selection.last}" if selection.first != selection.last else f"{selection.first}"
    head = f"{paint(title(selection.series), 'bold')}: {count(one.bars, 'bar')} of {count(selection.sessions, 'session')} ({span}) {where}"
    return [head, f"  {_columns(one)}", *_remarks(one, place), *_import_again(one, place)]


def _columns(one: Exported) -> str:
    columns = one.columns
    numbers = "floats" if columns.numbers is Numbers.FLOAT else f"exact, {_decimals(one)}"
    return f"columns {', '.join(columns.names)}; {_times(columns)}numbers {numbers}"


def _decimals(one: Exported) -> str:
    precision = one.selection.precision
    return f"prices with {count(precision.price, 'decimal')}, volume with {precision.size}"


def _times(columns: Columns) -> str:
    if columns.stamped is StampedAt.BOTH:
        return f"ts_event opens and ts_init closes a bar, {columns.time_zone}; "
    if columns.times == ("timestamp",):
        return f"timestamp is where a bar {columns.stamped}s, {columns.time_zone}; "
    return "date is the session's; " if columns.times else ""


def _remarks(one: Exported, place: Place) -> list[str]:
    selection, text = one.selection, []
    convention = selection.convention
    if convention.adjustment == SIMULATED:
        text.append(f"  {paint('SIMULATED prices', 'red')}: invented by the gateway simulator, no market ever showed them")
    elif convention.adjustment != "raw":
        text.append(f"  {paint('note', 'yellow')}: prices are {CONVENTIONS.get(convention.adjustment, f'adjusted: {convention.adjustment}')}")
    if convention.hours == "rth":
        text.append(f"  {paint('note', 'yellow')}: {CONVENTIONS['rth']} only")
    if selection.gaps:
        missing = count(sum(gap.sessions for gap in selection.gaps), "session")
        gaps = f"{paint(count(len(selection.gaps), 'gap'), 'yellow')}, {missing} missing or partial: {listed(selection.gaps, _LISTED)}"
        text.append(f"  {gaps}")
        dates = "--start", str(selection.gaps[0].first), "--end", str(selection.gaps[-1].last)
        text.append(f"    what fills it: {place.command('check', selection.series.instrument_id, '--bar', str(selection.series.spec), *dates)}")
    if selection.running:
        text.append(f"  {paint('not ended', 'yellow')}: {listed(selection.running)}; more bars will come")
    if selection.empty:
        text.append(f"  {count(selection.empty, 'session')} without bars, known to have none")
    if one.changed_meanwhile:
        text.append(
            f"  {paint('note', 'yellow')}: the catalog changed meanwhile: {count(selection.bars, 'bar')} "
            f"{'was' if selection.bars == 1 else 'were'} there before. Export again to have one state"
        )
    return text


def _import_again(one: Exported, place: Place) -> list[str]:
    if one.form is not Format.CSV or one.file is None or not one.columns.can_be_imported or one.selection.convention.adjustment != "raw":
        return []
    series = one.selection.series
    stamp = [] if series.spec.is_daily_or_longer else ["--stamp", str(one.columns.stamped)]
    return [
        f"  import it again: {place.command('import-csv', str(one.file), '--instrument', series.instrument_id, '--bar', str(series.spec), *stamp)}"
    ]


def _in_short(done: Done, place: Place) -> list[str]:
    exported = done.exported
    bars, weight, seconds = (sum(values) for values in zip(*((one.bars, one.bytes, one.seconds) for one in exported), strict=True))
    text = [f"{count(len(exported), 'series', 'series')}, {count(int(bars), 'bar')} in {done.folder}, {size(int(weight))}, in {duration(seconds)}"]
    text.append(f"  {_columns_of_all(exported)}")
    simulated = [one.selection.series for one in exported if one.selection.convention.adjustment == SIMULATED]
    if simulated:
        text.append(f"  {paint('SIMULATED prices', 'red')}, which no market ever showed: {listed(simulated, _LISTED)}")
    if other := [one.selection.series for one in exported if one.selection.convention.adjustment not in ("raw", SIMULATED)]:
        text.append(f"  {paint('adjusted prices', 'yellow')}: {listed(other, _LISTED)}; each file's metadata says how")
    if incomplete := [one.selection for one in exported if not one.selection.is_whole]:
        text.append(f"  {paint(f'{len(incomplete)} not whole', 'yellow')}: {listed([_short(one) for one in incomplete], _LISTED)}")
        text.append(f"    what fills them: {place.command('check')}")
    return text


def _short(selection: Selection) -> str:
    missing = sum(gap.sessions for gap in selection.gaps) + len(selection.running)
    return f"{title(selection.series)} ({count(missing, 'session')})"


def _columns_of_all(exported: tuple[Exported, ...]) -> str:
    shapes = {one.columns.names: one.columns for one in exported}
    return "; ".join(f"columns {', '.join(names)}; {_times(columns).removesuffix('; ')}" for names, columns in shapes.items())


def _reading_file(one: Exported) -> str:
    """Return the line of Python that reads a file with pandas."""
    if one.file is None:
        return ""
    file, times = repr(str(one.file)), one.columns.times
    if one.form is not Format.CSV:
        reader = "read_parquet" if one.form is Format.PARQUET else "read_feather"
        slow = "  # exact decimals; to calculate with pandas, export with --numbers float" if one.columns.numbers is Numbers.DECIMAL else ""
        return f"pandas.{reader}({file}){slow}"
    if one.columns.time_zone == "UTC" or "date" in times:
        return f"pandas.read_csv({file}{f', parse_dates={list(times)}' if times else ''})"
    # Offsets that change in the course of a year are no one zone to pandas.
    made = "".join(f".assign({name}=lambda f: pandas.to_datetime(f.{name}, utc=True).dt.tz_convert({one.columns.time_zone!r}))" for name in times)
    return f"pandas.read_csv({file}){made}"


def _reading_folder(done: Done) -> str:
    assert done.folder is not None
    form, specs = done.exported[0].form, {one.columns.spec for one in done.exported}
    reader = {Format.CSV: "read_csv", Format.PARQUET: "read_parquet"}.get(form)
    # Days have a date where minutes have a time: each bar spec is a data set of its own.
    folder = f"{done.folder}/bar_spec={done.exported[0].columns.spec}" if len(specs) > 1 else done.folder
    pattern = f"{folder}/**/*.{form}"
    if reader is None:
        return f'pyarrow.dataset.dataset("{folder}", format="arrow", partitioning="hive")'
    return f"duckdb.sql(\"SELECT * FROM {reader}('{pattern}', hive_partitioning = true)\")"


def to_json(done: Done) -> dict[str, Json]:
    """Return the report for programs."""
    return {
        "folder": str(done.folder) if done.folder is not None else None,
        "bars": sum(one.bars for one in done.exported),
        "whole": all(one.selection.is_whole for one in done.exported) and not done.not_stored,
        "files": [_file_to_json(one) for one in done.exported],
        "not_stored": [one.bar_type for one in done.not_stored],
    }


def _file_to_json(one: Exported) -> dict[str, Json]:
    selection = one.selection
    told: dict[str, Json] = {**metadata_of(selection, one.columns)}
    return told | {
        "file": str(Path(one.file).absolute()) if one.file is not None else None,
        "format": str(one.form),
        "columns": list(one.columns.names),
        "numbers": str(one.columns.numbers),
        "bars": one.bars,
        "bytes": one.bytes,
        "sessions": selection.sessions,
        "empty_sessions": selection.empty,
        "gaps": [range_to_json(gap) for gap in selection.gaps],
        "not_ended": [str(date) for date in selection.running],
        "changed_meanwhile": one.changed_meanwhile,
        "seconds": round(one.seconds, 3),
    }
