"""`mdp catalog verify`: a good catalog, and each kind of damage."""

from __future__ import annotations

from pathlib import Path

from market_data_pipeline.catalog import Catalog
from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import AAPL_YAML, MINUTES, store_whole

WEEK = ["2024-02-05", "2024-02-06", "2024-02-07", "2024-02-08", "2024-02-09"]


def _stored(mdp: Mdp, root: Path) -> list[Path]:
    """Store a week with its definition and return the files."""
    Path("aapl.yaml").write_text(AAPL_YAML)
    mdp("instruments", "define", "--instruments", "aapl.yaml", "--catalog", root)
    catalog = store_whole(root, WEEK)
    return sorted(catalog.layout.series_folder(MINUTES).glob("*.parquet"))


def test_all_is_well(mdp: Mdp, root: Path) -> None:
    files = _stored(mdp, root)
    ended = mdp("catalog", "verify", "--catalog", root)
    assert ended.code == 0
    assert ended.out.startswith("1 series, 5 files, ")
    assert ended.out.endswith(" read: all is well\n")
    answer = mdp("catalog", "verify", "AAPL.NASDAQ", "--json", "--catalog", root).json
    assert (answer["ok"], answer["series"], answer["files"], answer["problems"]) == (True, 1, 5, [])
    assert answer["bytes"] == sum(file.stat().st_size for file in files)


def test_a_bad_file_is_moved_away_and_told(mdp: Mdp, root: Path) -> None:
    torn = _stored(mdp, root)[1]
    content = bytearray(torn.read_bytes())
    content[len(content) // 2] ^= 0xFF
    torn.write_bytes(bytes(content))
    ended = mdp("catalog", "verify", "--catalog", root)
    assert ended.code == 1
    assert "bad file" in ended.out
    assert torn.name in ended.out
    assert "2024-02-06" in ended.out
    assert not torn.exists()
    assert "1 gap: 2024-02-06 (1 session)" in mdp("check", "--catalog", root).out
    assert mdp("catalog", "verify", "--catalog", root).code == 0


def test_json_names_each_problem(mdp: Mdp, root: Path) -> None:
    _stored(mdp, root)[0].write_bytes(b"")
    ended = mdp("catalog", "verify", "--json", "--catalog", root)
    (problem,) = ended.json["problems"]
    assert (ended.code, ended.json["ok"], problem["kind"]) == (1, False, "bad file")
    assert set(problem) == {"kind", "subject", "detail", "action"}


def test_bars_without_a_definition_are_told_and_are_no_damage(mdp: Mdp, root: Path) -> None:
    store_whole(root, WEEK[:1])
    ended = mdp("catalog", "verify", "--catalog", root)
    assert ended.code == 0
    assert "orphan bars" in ended.out
    assert "1 problem" in ended.out


def test_an_unknown_id_is_answered_with_what_is_stored(mdp: Mdp, root: Path) -> None:
    store_whole(root, WEEK[:1])
    ended = mdp("catalog", "verify", "MSFT.NASDAQ", "--catalog", root)
    assert ended.code == 1
    assert "Nothing of MSFT.NASDAQ is stored" in ended.err


def test_an_empty_catalog_is_well(mdp: Mdp, root: Path) -> None:
    ended = mdp("catalog", "verify", "--catalog", root)
    assert ended.code == 0
    assert "Nothing is stored" in ended.out
    assert not root.exists()


def test_a_table_for_pipes_keeps_a_problem_on_one_line(mdp: Mdp, root: Path) -> None:
    _stored(mdp, root)[0].write_bytes(b"not Parquet at all")
    ended = mdp("catalog", "verify", "--catalog", root)
    lines = ended.out.splitlines()
    assert len(lines) == 4  # head, problem, verdict, and how its commands reach this catalog
    assert lines[0].split()[:2] == ["PROBLEM", "WHERE"]
    assert all(line == line.rstrip() for line in lines)
    assert "mdp import-csv FILE --instrument AAPL.NASDAQ --bar 1-MINUTE-LAST" in lines[1]
    assert Catalog.open(root).layout.quarantine.is_dir()


def test_a_dry_run_reports_bad_files_and_moves_nothing(root: Path, mdp: Mdp) -> None:
    file = _stored(mdp, root)[0]
    file.write_bytes(b"")
    before = sorted(path.name for path in root.rglob("*.parquet"))
    ended = mdp("catalog", "verify", "--dry-run", "--catalog", root)
    assert ended.code == 1
    assert file.name in ended.out
    assert "left where it is" in ended.out
    assert sorted(path.name for path in root.rglob("*.parquet")) == before
    assert not (root / "quarantine").exists()


def test_a_broken_instrument_file_is_found_and_moved(root: Path, mdp: Mdp) -> None:
    _stored(mdp, root)
    (file,) = (root / "data" / "equity").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:50])
    ended = mdp("catalog", "verify", "--catalog", root)
    assert ended.code == 1
    assert "mdp instruments define AAPL.NASDAQ" in ended.out
    assert not file.exists()
