"""One shape of files and a sample of their rows, judged: form of times, zone, stamp convention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS, Aggregation, Series
from market_data_pipeline.domain.errors import QuestionUnanswered
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.sources.csv.clocks import Clock, clocks_of, rule_of
from market_data_pipeline.sources.csv.evidence import Hypothesis, Judgement, Standing, described, judge, settle_by_pause, thinned
from market_data_pipeline.sources.csv.forms import told_form
from market_data_pipeline.sources.csv.hours import VenueHours, hours_of
from market_data_pipeline.sources.csv.layout import CsvLayout, Stamp
from market_data_pipeline.sources.csv.recognition import Declared, Question, Verdict
from market_data_pipeline.sources.csv.sample import Sample
from market_data_pipeline.sources.csv.shapes import Shape
from market_data_pipeline.sources.csv.time_forms import AUTO, TimeForm, form_of, zone_behind
from market_data_pipeline.sources.csv.times import Stamps, parse_times

_PAIRS_TO_TELL = 30
_SHOWN_EXCLUDED = 6
_EXAMPLES = 50


def judged(paths: Sequence[Path], shape: Shape, sample: Sample, series: Series, partitions: Partitions, said: Declared) -> Verdict:
    """Judge files of one shape.

    Raises:
        QuestionUnanswered: If evidence contradicts what was declared, or what the file says of itself.
    """
    name = paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"
    layout = replace(shape.layout, time_zone=said.time_zone or shape.layout.time_zone, stamp=said.stamp or shape.layout.stamp)
    evidence = [shape.told_by]
    questions = _symbols(sample, said)
    sample = _one_symbol(sample, said)
    rows = _with_prices(sample, layout)
    fixed = said.time_form or (said.layout.time_form if said.layout is not None and said.layout.time_form not in (AUTO, "iso") else None)
    form_name, form_words, form_question = (fixed, None, None) if fixed else told_form(layout.time_form, rows.times, partitions, name)
    if form_words:
        evidence.append(form_words)
    if form_question is not None:
        return Verdict(layout, (layout,), None, None, tuple(evidence), (), (*questions, form_question))
    layout = replace(layout, time_form=form_name)
    example, form = _example(layout, rows)
    if form is None or not len(rows):
        return _verdict(layout, evidence, questions)
    stamps = parse_times(rows.times, form)
    behind = zone_behind(example)
    if behind and layout.time_zone is None:
        layout = replace(layout, time_zone=behind)
        evidence.append(f"the times name their zone: {behind}")
    swapped = _open_close_swapped(rows, stamps)
    warnings: list[str] = []
    if swapped and said.layout is None:
        raise QuestionUnanswered(
            f"{name}: {swapped}. Nothing was written. If the columns are right as they are, name the layout: --layout {_name_or_yaml(layout)}."
        )
    if swapped:
        warnings.append(swapped)
    good = stamps.faults == 0
    if series.spec.is_daily_or_longer or not stamps.has_clock[good].any():
        if not stamps.has_clock[good].any():
            evidence.append(f"dates without a time of day (such as {example!r}): no zone and no stamp convention are needed")
            return Verdict(layout, (layout,), None, layout.stamp, tuple(evidence), (), tuple(questions), tuple(warnings))
        dated = _dated_by_midnight(stamps, layout, series, partitions)
        if dated:
            layout = replace(layout, stamp=Stamp.OPEN)
            evidence.append(dated)
        return _verdict(layout, evidence, questions, warnings)
    if _half_a_clock(stamps):
        raise QuestionUnanswered(
            f"{name}: its times go no further than 12 and start again after noon (such as {example!r}): a clock of twelve hours without AM and PM. "
            "Nothing was written. Get the file with 24 hours, or with AM and PM and pass --time-form, for example '%m/%d/%Y %I:%M %p'."
        )
    times = _Times.of(stamps, example)
    judge_of = _Zones(name, shape, layout, times, series, partitions, said)
    return judge_of.verdict(evidence, questions, warnings)


def _example(layout: CsvLayout, rows: Sample) -> tuple[str, TimeForm | None]:
    """Return the first stamp that the form reads, and the form."""
    for text in rows.times[:_EXAMPLES].to_pylist():
        form = form_of(layout.time_form, text)
        if form is not None and not parse_times(pa.array([text]), form).faults[0]:
            return text, form
    return "", None


def _dated_by_midnight(stamps: Stamps, layout: CsvLayout, series: Series, partitions: Partitions) -> str | None:
    """Return in words why days stamped 00:00 are dated by their own date, where the day before would often be none of the venue's."""
    good = (stamps.faults == 0) & stamps.has_clock
    wall = stamps.wall_ns[good]
    if layout.stamp is not None or series.spec.aggregation is not Aggregation.DAY or not len(wall) or (wall % DAY_NS).any():
        return None
    days = np.unique(wall // DAY_NS)
    itself, before = (np.isin(which, partitions.days) for which in (days, days - 1))
    if not itself.all() or (~before).sum() < 2:
        return None
    return f"days are stamped 00:00, and the day before is no session for {int((~before).sum())} of {len(days)}: each stamp is the session's date"


def _half_a_clock(stamps: Stamps) -> bool:
    """Return whether times look like a clock of twelve hours without AM and PM: none from 13 to 0 o'clock, and steps back at noon."""
    wall = stamps.wall_ns[(stamps.faults == 0) & stamps.has_clock]
    hours = wall % DAY_NS // (3_600 * NANOSECONDS)
    if len(wall) < 3 or hours.max() > 12 or hours.min() < 1:
        return False
    back = (np.diff(wall) < 0) & (np.diff(wall // DAY_NS) == 0)
    forward = np.diff(wall) > 0
    return int(back.sum()) >= 1 and bool(forward.mean() > 0.5) and bool((hours[:-1][back] >= 11).all())


def _verdict(layout: CsvLayout, evidence: list[str], questions: list[Question], warnings: Sequence[str] = ()) -> Verdict:
    return Verdict(layout, (layout,), layout.time_zone, layout.stamp, tuple(evidence), (), tuple(questions), tuple(warnings))


def _name_or_yaml(layout: CsvLayout) -> str:
    return layout.name if layout.name != "generic" else "generic (or FILE.yaml with columns of other names)"


def _symbols(sample: Sample, said: Declared) -> list[Question]:
    if "symbol" not in sample.values or said.symbol is not None:
        return []
    names = [str(name) for name in pc.unique(pc.utf8_trim_whitespace(sample.values["symbol"])).to_pylist() if name]
    if len(names) < 2:
        return []
    listed = ", ".join(sorted(names)[:20]) + (f" … ({len(names)} in all)" if len(names) > 20 else "")
    return [
        Question(
            "--symbol",
            f"it holds rows of {len(names)} symbols ({listed}): pass --symbol with the one to take, or --map NAME=ID for each",
            tuple(sorted(names)[:20]),
        )
    ]


def _one_symbol(sample: Sample, said: Declared) -> Sample:
    if "symbol" not in sample.values or said.symbol is None:
        return sample
    keep = pc.equal(pc.utf8_trim_whitespace(sample.values["symbol"]), said.symbol).to_numpy(zero_copy_only=False)
    if len(sample) and not keep.any():
        names = ", ".join(sorted(map(str, pc.unique(sample.values["symbol"]).to_pylist()))[:20])
        raise QuestionUnanswered(f"No row of the file is of the symbol {said.symbol!r}. It holds {names}: pass one of them as --symbol.")
    return sample.filtered(np.asarray(keep, dtype=np.bool_))


def _with_prices(sample: Sample, layout: CsvLayout) -> Sample:
    """Return the rows that say something about trading: without those that an exporter fills in."""
    keep = np.ones(len(sample), dtype=np.bool_)
    if layout.blanks:
        keep &= ~_is_blank(sample.values["close"])
    if layout.fills and "volume" in sample.values:
        same = pc.and_(pc.equal(sample.values["open"], sample.values["close"]), pc.equal(sample.values["high"], sample.values["low"]))
        silent = pc.match_substring_regex(sample.values["volume"], r"^\s*0*\.?0*\s*$")
        keep &= ~np.asarray(pc.and_(same, silent).to_numpy(zero_copy_only=False), dtype=np.bool_)
    return sample if keep.all() else sample.filtered(keep)


def _is_blank(column: pa.Array) -> npt.NDArray[np.bool_]:
    found = pc.match_substring_regex(column, r"^\s*(nan|null|none)?\s*$", ignore_case=True)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _floats(column: pa.Array) -> npt.NDArray[np.float64] | None:
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    except pa.ArrowInvalid:
        return None


def _open_close_swapped(sample: Sample, stamps: Stamps) -> str | None:
    """Return in words where the columns called open and close are exchanged: one bar's close is near the next one's open, always."""
    opens, closes = _floats(sample.values["open"]), _floats(sample.values["close"])
    if opens is None or closes is None or len(opens) < _PAIRS_TO_TELL:
        return None
    order = np.argsort(stamps.wall_ns - stamps.offset_ns, kind="stable")
    opens, closes = opens[order], closes[order]
    moved = opens != closes
    if moved.sum() < _PAIRS_TO_TELL:
        return None
    straight = float(np.median(np.abs(opens[1:] - closes[:-1])))
    crossed = float(np.median(np.abs(closes[1:] - opens[:-1])))
    if straight <= 3 * crossed or straight <= 0:
        return None
    return (
        "the columns for open and close seem to be exchanged: each row's close is where the row before opened "
        f"(usually {crossed:.6g} apart), while its open is {straight:.6g} from the close before"
    )


@dataclass(frozen=True)
class _Times:
    """The stamps of a sample: thinned wall clock times, and their offsets where the text says them."""

    wall: Int64s
    offset: Int64s | None
    example: str

    @classmethod
    def of(cls, stamps: Stamps, example: str) -> _Times:
        good = (stamps.faults == 0) & stamps.has_clock
        told = good & stamps.has_offset
        if 2 * told.sum() <= good.sum():
            return cls(thinned(stamps.wall_ns[good]), None, example)
        wall, offset = stamps.wall_ns[told], stamps.offset_ns[told]  # the few that say none are bad rows
        utc = thinned(wall - offset)
        order = np.argsort(wall - offset, kind="stable")
        at = np.searchsorted((wall - offset)[order], utc)
        return cls(wall[order][at], offset[order][at], example)


class _Zones:
    """Zone and stamp convention of one sample."""

    def __init__(self, name: str, shape: Shape, layout: CsvLayout, times: _Times, series: Series, partitions: Partitions, said: Declared) -> None:
        self._name, self._shape, self._layout, self._times, self._said = name, shape, layout, times, said
        self._length = series.spec.length_ns
        first, last = (int(times.wall.min()), int(times.wall.max())) if len(times.wall) else (0, 0)
        self._venue: VenueHours = hours_of(partitions, first - DAY_NS, last + DAY_NS)
        self._clocks: tuple[Clock, ...] = clocks_of(self._venue.zone)

    def verdict(self, evidence: list[str], questions: list[Question], warnings: list[str]) -> Verdict:
        """Return the verdict.

        Raises:
            QuestionUnanswered: If the evidence contradicts what was declared or said by the file.
        """
        told = self._times.offset is not None
        if told:
            evidence.append(f"the times say how far from UTC they are (such as {self._times.example!r})")
        zones: list[str | None] = [None] if told else [self._layout.time_zone] if self._layout.time_zone else [clock.zone for clock in self._clocks]
        stamps = [self._layout.stamp] if self._layout.stamp else list(Stamp)
        found = self._judge([(zone, stamp) for zone in zones for stamp in stamps])
        if len(found) == 1:
            return self._known(found[0], evidence, questions, warnings)
        left = [one for one in found if one.standing is not Standing.EXCLUDED]
        if not left:
            return self._contradicted(found, evidence, questions, warnings)
        readings = list({one.opens.tobytes(): one for one in reversed(left)}.values())
        best = readings[-1] if len(readings) > 1 else next(one for one in left if one.opens.tobytes() == readings[0].opens.tobytes())
        rules = {rule_of(one.hypothesis.zone) for one in left if one.hypothesis.zone is not None}
        if len(readings) == 1 and best.standing is not Standing.DOUBTFUL and not (self._venue.is_currency and len(rules) > 1):
            layout = self._named(replace(self._layout, time_zone=best.hypothesis.zone or self._layout.time_zone, stamp=best.hypothesis.stamp))
            evidence += described(best, self._times.wall, self._times.offset, self._length, self._venue)
            excluded = self._excluded(found, best)
            return Verdict(layout, (layout,), layout.time_zone, layout.stamp, tuple(evidence), excluded, tuple(questions), tuple(warnings))
        return self._open(left, found, evidence, questions, warnings)

    def _judge(self, readings: Sequence[tuple[str | None, Stamp]]) -> list[Judgement]:
        wall, offset = self._times.wall, self._times.offset
        found = [judge(Hypothesis(zone, stamp), wall, offset if zone is None else None, self._length, self._venue) for zone, stamp in readings]
        return settle_by_pause(found, self._length, self._venue)

    def _named(self, layout: CsvLayout) -> CsvLayout:
        """Return the layout under the name of the exporter whose columns and clock it has."""
        if self._shape.alike == ("histdata-metatrader",) and layout.time_zone == "Etc/GMT+5":
            return replace(layout, name="histdata-metatrader")
        return layout

    def _excluded(self, found: Sequence[Judgement], best: Judgement) -> tuple[str, ...]:
        """Return the readings that people would think of, and what speaks against them."""
        told: dict[str, str] = {}
        for one in found:
            if one.standing is Standing.EXCLUDED and one.hypothesis != best.hypothesis:
                other = "" if one.hypothesis.zone == best.hypothesis.zone else f"{one.hypothesis.zone}, "
                told.setdefault(f"{other}{one.hypothesis.stamp}s", one.reason)
        return tuple(f"{what}: {reason}" for what, reason in list(told.items())[:_SHOWN_EXCLUDED])

    def _known(self, known: Judgement, evidence: list[str], questions: list[Question], warnings: list[str]) -> Verdict:
        """Return the verdict where nothing was open, if the evidence does not speak for something else.

        Raises:
            QuestionUnanswered: If it does, and the layout was not named by the user.
        """
        better = self._better(known) if known.standing >= Standing.DOUBTFUL else None
        if better is not None:
            message = self._against(known, better)
            if self._said.layout is None:
                raise QuestionUnanswered(message)
            warnings.append(message)
        elif known.standing < Standing.DOUBTFUL:
            evidence += described(known, self._times.wall, self._times.offset, self._length, self._venue) if known.hours else [known.reason]
        elif known.gross and self._said.layout is None:
            raise QuestionUnanswered(self._nowhere(known))
        else:
            warnings.append(f"{known.reason}; no other reading fits better")
        layout = self._layout
        zone = None if self._times.offset is not None else layout.time_zone
        return Verdict(layout, (layout,), zone, layout.stamp, tuple(evidence), (), tuple(questions), tuple(warnings))

    def _better(self, known: Judgement) -> Judgement | None:
        """Return a reading for which the evidence speaks, where it speaks against what is known."""
        others = self._judge([(clock.zone, stamp) for stamp in Stamp for clock in self._clocks])
        if self._times.offset is not None:
            others += self._judge([(None, stamp) for stamp in Stamp])
        fitting = [one for one in others if one.standing is Standing.FITS]
        if self._venue.is_currency and not fitting:
            fitting = [one for one in others if one.standing is Standing.POSSIBLE]
        same_stamp = [one for one in fitting if one.hypothesis.stamp is known.hypothesis.stamp]
        return next(iter(same_stamp or fitting), None)

    def _against(self, known: Judgement, better: Judgement) -> str:
        zone = known.hypothesis.zone or "their own UTC offsets"
        ways = []
        if better.hypothesis.zone != known.hypothesis.zone and better.hypothesis.zone is not None:
            ways.append(f"--timezone {better.hypothesis.zone}")
        if better.hypothesis.stamp is not known.hypothesis.stamp:
            ways.append(f"--stamp {better.hypothesis.stamp}")
        return (
            f"{self._name}: read as bar {known.hypothesis.stamp}s by {zone}, {known.reason}. "
            f"Read as bar {better.hypothesis.stamp}s by {better.hypothesis.zone or 'their offsets'}, {better.reason}. "
            f"If the second is right, pass {' '.join(ways)}; to insist on the first, pass {self._insisting(known)}."
        )

    def _nowhere(self, known: Judgement) -> str:
        zone = known.hypothesis.zone or "their own UTC offsets"
        return (
            f"{self._name}: read as bar {known.hypothesis.stamp}s by {zone}, {known.reason}, and under no other clock do its times fit. "
            f"They seem to be shifted, or the venue is another one. If they are right as they are, pass {self._insisting(known)}."
        )

    def _insisting(self, known: Judgement) -> str:
        zone = "" if known.hypothesis.zone is None else f" --timezone {known.hypothesis.zone}"
        return f"--layout {_name_or_yaml(self._layout)}{zone} --stamp {known.hypothesis.stamp}"

    def _contradicted(self, found: Sequence[Judgement], evidence: list[str], questions: list[Question], warnings: list[str]) -> Verdict:
        why = found[0].reason
        better = self._better(found[0]) if self._layout.time_zone or self._times.offset is not None or self._layout.stamp else None
        if better is not None and self._said.layout is None:
            raise QuestionUnanswered(self._against(found[0], better))
        evidence = [*evidence, *self._excluded(found, found[-1])]
        return self._ask(found, f"and under no clock and stamp convention do they fit the hours of the venue ({why})", evidence, questions, warnings)

    def _open(
        self, left: Sequence[Judgement], found: Sequence[Judgement], evidence: list[str], questions: list[Question], warnings: list[str]
    ) -> Verdict:
        zones = list(dict.fromkeys(one.hypothesis.zone for one in left if one.hypothesis.zone is not None))
        if self._venue.widest is None:
            why = "and the venue never shuts, so that no hours tell"
        elif 1 < len(zones) < 6:
            why = f"and {', '.join(zones)} fit equally well"
        else:
            why = "and these rows begin and end with no hours of the venue that would tell"
        return self._ask(left, why, evidence, questions, warnings)

    def _ask(self, left: Sequence[Judgement], why: str, evidence: list[str], questions: list[Question], warnings: list[str]) -> Verdict:
        """Return a verdict that asks for zone and stamp, as far as they are not the same in all readings that are left."""
        zones = list(dict.fromkeys(one.hypothesis.zone for one in left if one.hypothesis.zone is not None))
        stamps = list(dict.fromkeys(one.hypothesis.stamp for one in left))
        asked = list(questions)
        if len(zones) > 1:
            asked.append(
                Question(
                    "--timezone",
                    f"times such as {self._times.example!r} carry no UTC offset, {why}: pass --timezone, for example America/New_York or UTC",
                    tuple(zones[:8]),
                )
            )
        if len(stamps) > 1:
            reason = f", {why}" if len(zones) < 2 else ""
            text = f"it does not say which end of a bar its stamps name{reason}: pass --stamp open or --stamp close"
            asked.append(Question("--stamp", text, tuple(stamps)))
        zone = zones[0] if len(zones) == 1 else self._layout.time_zone
        stamp = stamps[0] if len(stamps) == 1 else self._layout.stamp
        layout = replace(self._layout, time_zone=zone, stamp=stamp)
        return Verdict(layout, (layout,), zone, stamp, tuple(evidence), (), tuple(asked), tuple(warnings))
