"""`mdp catalog adopt`, `mdp catalog repair` and `mdp instruments backfill --instruments`."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli import catalog_adopt
from market_data_pipeline.ingest.adopt import PreferFile
from market_data_pipeline.ingest.import_csv import OnConflict
from market_data_pipeline_tests.catalog.bar_making import AAPL, MONDAY, TUESDAY, WEEK, files_of, regular
from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import AAPL_YAML
from market_data_pipeline_tests.sources.nautilus.foreign import by_nautilus, equity, with_close, with_rows


def test_the_choices_of_the_command_are_those_of_the_use_case() -> None:
    assert set(get_args(catalog_adopt.Preference)) == set(PreferFile)
    assert set(get_args(catalog_adopt.Conflicts)) <= set(OnConflict)


def test_a_catalog_is_adopted_and_each_row_told(mdp: Mdp, root: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    for date in WEEK:
        by_nautilus(old, regular(AAPL, date))
    by_nautilus(old, regular(AAPL, TUESDAY).slice(0, 50))
    equity(old)
    equity(old, "SPY.SMART")
    dry = mdp("catalog", "adopt", old, "--dry-run", "--catalog", root)
    assert (dry.code, root.exists()) == (0, False)
    assert "Dry run, nothing was stored. 2,000 bars read from 6 files of 1 series" in dry.out
    ended = mdp("catalog", "adopt", old, "--catalog", root)
    assert ended.code == 0
    assert ": 1,950 written, 50 duplicates\n" in ended.out
    assert "the sum closes: counted again by the footers of the files, 2,000 rows in the source and 1,950 bars written" in ended.out
    assert "SPY.SMART" in ended.out
    (report,) = (root / "reports").glob("adopt-*.md")
    assert "The sum closes: **yes**" in report.read_text()
    assert f"next: mdp check --catalog {root}" in ended.out
    again = mdp("catalog", "adopt", old, "--json", "--catalog", root)
    assert (again.code, again.json["total"]["stored_before"], again.json["total"]["written"]) == (0, 1950, 0)


def test_a_contradiction_is_a_question_and_a_preference_answers_it(mdp: Mdp, root: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    by_nautilus(old, regular(AAPL, MONDAY))
    by_nautilus(old, with_close(regular(AAPL, MONDAY), 7, 20_000))
    assert mdp("catalog", "adopt", old, "--dry-run", "--catalog", root).code == 3
    ended = mdp("catalog", "adopt", old, "--catalog", root)
    assert ended.code == 3
    assert "Nothing was written. 1 row has other values than another row for the same bar" in ended.out
    assert "conflict: the bar of 2024-02-05 14:37:00 UTC: open" in ended.out
    assert not list(root.rglob("*.parquet"))
    answered = mdp("catalog", "adopt", old, "--prefer", "oldest-file", "--json", "--catalog", root)
    assert (answered.code, answered.json["total"]["conflicts_dropped"], answered.json["total"]["written"]) == (0, 1, 390)


def test_a_wrong_path_is_a_usage_error(mdp: Mdp, root: Path, tmp_path: Path) -> None:
    ended = mdp("catalog", "adopt", tmp_path / "nowhere", "--catalog", root)
    assert ended.code == 2
    assert "Name the folder of a Nautilus catalog" in ended.err


def test_orphans_are_filled_from_a_file_without_asking_anybody(mdp: Mdp, root: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    by_nautilus(old, regular(AAPL, MONDAY))
    adopted = mdp("catalog", "adopt", old, "--catalog", root)
    assert f"next: mdp instruments backfill --catalog {root}" in adopted.out
    Path("empty.yaml").write_text("instruments: []\n")
    failed = mdp("instruments", "backfill", "--instruments", "empty.yaml", "--catalog", root)
    assert failed.code == 1
    assert "There is no definition of AAPL.NASDAQ in empty.yaml" in failed.out
    Path("aapl.yaml").write_text(AAPL_YAML)
    filled = mdp("instruments", "backfill", "--instruments", "aapl.yaml", "--catalog", root)
    assert (filled.code, filled.out) == (0, "AAPL.NASDAQ: new\n")
    assert "has a definition" in mdp("instruments", "backfill", "--instruments", "aapl.yaml", "--catalog", root).out


def test_a_repair_says_what_it_did_and_what_is_to_decide(mdp: Mdp, root: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    for date in (MONDAY, TUESDAY):
        by_nautilus(old, regular(AAPL, date))
    mdp("catalog", "adopt", old, "--catalog", root)
    with_rows(files_of(Catalog.open(root))[0], range(389, -1, -1))
    dry = mdp("catalog", "repair", "--dry-run", "--catalog", root)
    assert "would be mended" in dry.out
    ended = mdp("catalog", "repair", "--catalog", root)
    assert ended.code == 1
    assert "its 390 rows were put in order" in ended.out
    assert "1 thing to decide" in ended.out  # nobody knows AAPL's definition here
    Path("aapl.yaml").write_text(AAPL_YAML)
    mended = mdp("catalog", "repair", "--instruments", "aapl.yaml", "--json", "--catalog", root)
    assert (mended.code, [one["subject"] for one in mended.json["mended"]]) == (0, ["AAPL.NASDAQ"])
    well = mdp("catalog", "repair", "--instruments", "aapl.yaml", "--catalog", root)
    assert well.out.endswith("all is well\n")
