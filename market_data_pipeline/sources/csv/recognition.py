"""What a file is, told by evidence: its layout, the form of its times, their zone, and which end of a bar they name.

    verdict = recognise([Path("AAPL.csv")], series, partitions_of(series))
    verdict.undecided    # what has to be declared; empty where everything is certain
    verdict.evidence     # why, in words

A reading is taken only where everything else is excluded: by what the exporter always writes, by what the text says, by what the user
declared, or by the venue's hours. Where two readings are left, or none, nothing is taken, and the options that would decide are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import QuestionUnanswered
from market_data_pipeline.domain.sessions import Partitions
from market_data_pipeline.sources.csv.layout import CsvLayout, Stamp
from market_data_pipeline.sources.csv.sample import sample_of
from market_data_pipeline.sources.csv.shapes import Shape, shape_of


@dataclass(frozen=True)
class Declared:
    """What a user said; None where nothing was said.

    Attributes:
        layout: A layout that was named or described. Its word counts, and what speaks against it is a warning.
        time_zone: Zone of times without an offset.
        stamp: Which end of a bar the stamps name.
        delimiter: The character between fields.
        time_form: How times are written, as `CsvLayout.time_form`.
        symbol: Whose rows to take of a file with several symbols.
    """

    layout: CsvLayout | None = None
    time_zone: str | None = None
    stamp: Stamp | None = None
    delimiter: str | None = None
    time_form: str | None = None
    symbol: str | None = None


@dataclass(frozen=True)
class Question:
    """What the evidence does not decide.

    Attributes:
        option: The option of the command line that decides it: `--timezone`, `--stamp`, `--time-form`, `--symbol`.
        text: What is not known, and why.
        choices: Answers that are possible, the likelier first; empty where any may be.
    """

    option: str
    text: str
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Verdict:
    """What files are.

    Attributes:
        layout: How they are to be read, with everything that is known; of the first file where files differ.
        layouts: The same for each file.
        time_zone: The zone of times without an offset; None where the text says the offset, and for dates.
        stamp: Which end of a bar the stamps name; None for dates, and where it is not known.
        evidence: Why, in words; the first says how the columns were told.
        excluded: Other readings, and what speaks against each.
        undecided: What has to be declared; empty where everything is certain.
        warnings: What speaks against a layout that the user named.
    """

    layout: CsvLayout
    layouts: tuple[CsvLayout, ...]
    time_zone: str | None
    stamp: Stamp | None
    evidence: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    undecided: tuple[Question, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = [self.layout.name]
        if self.time_zone is not None:
            said.append(f"times of {self.time_zone}")
        if self.stamp is not None:
            said.append(f"stamps are bar {self.stamp}s")
        if self.undecided:
            said.append(f"{' and '.join(question.option.removeprefix('--') for question in self.undecided)} not known")
        return ", ".join(said)

    def require_decided(self, name: str) -> None:
        """Refuse what is not decided.

        Raises:
            QuestionUnanswered: With what is not known, why, and the options that say it.
        """
        if self.undecided:
            asked = "; and ".join(map(str, self.undecided))
            seen = "".join(f"\n  seen: {line}" for line in self.evidence)
            from market_data_pipeline.sources.csv.known_layouts import LAYOUTS

            options = {question.option for question in self.undecided}
            layouts = f" Or pass --layout with a layout that knows: {', '.join(LAYOUTS)}." if options & {"--timezone", "--stamp"} else ""
            raise QuestionUnanswered(f"{name}: {asked}. Nothing was written.{layouts}{seen}")


def recognise(paths: Sequence[Path], series: Series, partitions: Partitions, declared: Declared | None = None) -> Verdict:
    """Tell what files of one series are, by a sample of them all. Files of different layouts are told apart and judged on their own.

    Args:
        paths: The files.
        series: What they hold.
        partitions: Its partitions, whose calendar knows the venue's hours.
        declared: What the user said.

    Raises:
        QuestionUnanswered: If the header leaves open which column is what, or evidence contradicts what was declared.
        ConfigurationError: If a layout that was named does not fit.
        SourceError: If a file cannot be read, or is no table of bars.
    """
    from market_data_pipeline.sources.csv.judging import judged

    said = declared or Declared()
    shapes = [_shape(path, said) for path in paths]
    groups: dict[CsvLayout, list[int]] = {}
    for i, shape in enumerate(shapes):
        groups.setdefault(shape.layout, []).append(i)
    verdicts: dict[int, Verdict] = {}
    for layout, members in groups.items():
        shape = shapes[members[0]]
        sample = sample_of([paths[i] for i in members], layout, layout.delimiter or ",")
        verdict = judged([paths[i] for i in members], shape, sample, series, partitions, said)
        verdicts |= dict.fromkeys(members, verdict)
    first = verdicts[0]
    others = list({id(verdict): verdict for verdict in verdicts.values()}.values())[1:]
    return replace(
        first,
        layouts=tuple(verdicts[i].layout for i in range(len(paths))),
        evidence=tuple(dict.fromkeys((*first.evidence, *(line for other in others for line in other.evidence)))),
        undecided=first.undecided or next((other.undecided for other in others if other.undecided), ()),
        warnings=tuple(dict.fromkeys((*first.warnings, *(line for other in others for line in other.warnings)))),
    )


def _shape(path: Path, said: Declared) -> Shape:
    if said.layout is None:
        shape = shape_of(path, said.delimiter)
        layout = replace(shape.layout, time_form=said.time_form) if said.time_form else shape.layout
        return replace(shape, layout=layout)
    from market_data_pipeline.sources.csv.columns import delimiter_of

    layout = replace(said.layout, delimiter=said.delimiter or said.layout.delimiter)
    layout = replace(layout, delimiter=delimiter_of(path, layout), time_form=said.time_form or layout.time_form)
    return Shape(layout, f"the layout {layout.name} was named")
