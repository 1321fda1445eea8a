"""Write the files and what is known of them: `python -m market_data_pipeline_tests.sources.csv.files`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import yaml

from market_data_pipeline_tests.sources.csv.files.accepted import CASES
from market_data_pipeline_tests.sources.csv.files.case import PRECISION, Case
from market_data_pipeline_tests.sources.csv.files.market import Bar, decimal
from market_data_pipeline_tests.sources.csv.files.refused import REFUSALS

HERE = Path(__file__).parent


def answer(case: Case) -> dict[str, object]:
    """Return what a reader of the file has to find, as a person reads it."""
    prices, sizes = PRECISION[case.instrument]

    def written(bar: Bar) -> str:
        values = [decimal(value, prices) for value in (bar.open, bar.high, bar.low, bar.close)]
        return f"{dt.datetime.fromtimestamp(bar.opened, dt.UTC):%Y-%m-%d %H:%M} {' '.join(values)} {decimal(bar.volume, sizes)}"

    picked = [case.bars[i] for i in (0, len(case.bars) // 2, -1)]
    return {
        "source": case.source,
        "instrument": case.instrument,
        "bar": case.spec,
        "options": " ".join(case.options),
        "layout": case.layout or "any",
        "zone": case.clock.zone,
        "stamp": "date" if case.daily else case.clock.end,
        "bars": len(case.bars),
        "some": [written(bar) for bar in picked],
    }


def main() -> None:
    """Write everything anew."""
    for folder, contents in (
        ("accepted", {name: case.written() for name, case in CASES.items()}),
        ("refused", {name: refusal.content for name, refusal in REFUSALS.items()}),
    ):
        (HERE / folder).mkdir(exist_ok=True)
        for name, content in contents.items():
            (HERE / folder / name).write_bytes(content)
    answers = {name: answer(case) for name, case in CASES.items()}
    head = "# What a reader has to find in each file of accepted/. Times are bar opens in UTC; then open, high, low, close, volume.\n"
    (HERE / "answers.yaml").write_text(head + yaml.safe_dump(answers, sort_keys=False, width=160), encoding="utf-8")


if __name__ == "__main__":
    main()
