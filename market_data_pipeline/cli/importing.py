"""An import as `mdp import-csv` carries it out: definition first, then the bars, with a bar of progress and somebody to ask."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from market_data_pipeline.calendars import calendar_name_of_venue, partitions_of
from market_data_pipeline.cli.endings import Stopped
from market_data_pipeline.cli.options import Place
from market_data_pipeline.cli.output import note
from market_data_pipeline.cli.progress import ImportMeter, Meter
from market_data_pipeline.cli.questions import ask_about_file, asker
from market_data_pipeline.cli.rendering.verdicts import verdict_lines
from market_data_pipeline.cli.words import count, listed
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import UsageError
from market_data_pipeline.ingest.definitions import Definitions, precision_to_use
from market_data_pipeline.ingest.import_csv import Conflict, Decide, Imported, OnConflict, Run
from market_data_pipeline.ingest.import_files import Done, Rules, import_files
from market_data_pipeline.ingest.import_several import PLACE_OF_SYMBOL, CsvFiles, SeriesImport, series_by_file_name
from market_data_pipeline.sources.csv.layout import DELIMITERS


def wanted_of(files: CsvFiles, instrument: str | None, mapped: tuple[str, ...], bar: str) -> list[SeriesImport]:
    """Return what to import: one series; or one for each symbol that is mapped, of the same files; or one for each symbol that files are named by.

    Raises:
        UsageError: If it is not said, or said twice.
    """
    check_delimiter(files)
    if mapped and (instrument or files.symbol):
        raise UsageError("--map says which instrument each symbol is; leave out --instrument and --symbol.")
    if mapped:
        pairs = [text.partition("=") for text in mapped]
        wrong = [text for text, (name, equals, identifier) in zip(mapped, pairs, strict=True) if not (name and equals and identifier)]
        if wrong:
            raise UsageError(f"--map {wrong[0]!r} is not NAME=ID. Write for example --map AAPL=AAPL.NASDAQ.")
        return [SeriesImport(Series.of(identifier, bar), replace(files, symbol=name)) for name, _, identifier in pairs]
    if instrument is None:
        raise UsageError(
            "Say what the files hold: --instrument ID, for example AAPL.NASDAQ; --instrument '{symbol}.NASDAQ' where files are named by symbol; "
            "or --map NAME=ID for each symbol of a file with several."
        )
    if PLACE_OF_SYMBOL in instrument:
        found = series_by_file_name(instrument, bar, files.paths)
        return [SeriesImport(series, replace(files, paths=paths)) for series, paths in found.items()]
    return [SeriesImport(Series.of(instrument, bar), files)]


def carry_out(place: Place, series: Series, files: CsvFiles, rules: Rules, instruments: Path | None) -> Done:
    """Import one series in this process, where a person can be asked; say what stands in the catalog afterwards.

    Raises:
        MarketDataError: As the use case does.
        Stopped: On Ctrl-C, with how far it came.
    """
    calendar_name_of_venue(series.venue)  # a venue that nobody knows is told before an instrument that is not defined
    with place.opened() as catalog:
        definitions = Definitions.of(place.config, instruments)
        precision_to_use(catalog, definitions, series.instrument_id)  # what is not defined is told before anything is asked
        files = _decided(files, series)
        # A dry run leaves no folder behind.
        spool_dir = catalog.layout.spool if rules.run is Run.STORE else None
        with Meter("rows/s") as meter, files.source(spool_dir, ImportMeter(meter).reading) as source:
            steps = import_files(catalog, source, series, definitions, rules, decide=_decider(rules, meter))
            return _follow(steps, ImportMeter(meter))


def _decided(files: CsvFiles, series: Series) -> CsvFiles:
    """Show what the files are and why, before anything is stored, and ask the person at the terminal for what they do not tell.

    Raises:
        QuestionUnanswered: If something is to be decided and nobody is there.
    """
    while True:
        with files.source() as source:
            verdict = source.verdict(series, partitions_of(series))
        if sys.stderr.isatty():
            note("\n".join(verdict_lines(verdict)))
        if not verdict.undecided:
            return files
        answered: dict[str, str] = {}
        for question in verdict.undecided:
            answer = ask_about_file(question)
            if answer is None:
                verdict.require_decided(listed([path.name for path in files.paths], 3))
            else:
                answered[_FIELDS[question.option]] = answer
        files = replace(files, **answered)  # type: ignore[arg-type]  # each is text


_FIELDS = {"--timezone": "time_zone", "--stamp": "stamp", "--time-form": "time_form", "--symbol": "symbol"}


def check_delimiter(files: CsvFiles) -> None:
    """Refuse a delimiter that is none.

    Raises:
        UsageError: If it is not one character, nor the name of one.
    """
    if files.delimiter is not None and len(DELIMITERS.get(files.delimiter, files.delimiter)) != 1:
        raise UsageError(f"--delimiter {files.delimiter!r} is not one character. Write one, or one of {', '.join(DELIMITERS)}.")


def _decider(rules: Rules, meter: Meter) -> Decide:
    """Return who decides about conflicts; the meter makes room for the question."""
    ask = asker(rules.prefer)

    def decide(conflicts: tuple[Conflict, ...]) -> OnConflict:
        meter.pause()
        choice = ask(conflicts)
        meter.resume()
        return choice

    return decide


def _follow(steps: Generator[Imported, None, Done], meter: ImportMeter) -> Done:
    """Run the import to its end and return what it did."""
    last: Imported | None = None
    with closing(steps):
        try:
            while True:
                last = next(steps)
                meter.dealt_with(last)
        except StopIteration as end:
            done: Done = end.value
            return done
        except KeyboardInterrupt:
            # Closing commits what is stored; only then is it true that it stands.
            steps.close()
            raise Stopped(_how_far(last)) from None


def _how_far(last: Imported | None) -> str:
    if last is None:
        return "Stopped. No session was stored."
    done = f"{last.done:,} of {count(last.of, 'session')}"
    return f"Stopped at {last.session}, after {done}. They are whole and stay; the same command goes on from there."
