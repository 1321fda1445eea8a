"""Every command answers from a compacted catalog as from its twin of session files. January 2024 had 21 NYSE sessions (NYSE calendar 2024)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.data import Bar
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.session_facts import session_facts
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.stored import AAPL_YAML, MINUTES, store_whole, write_csv

DATES = [str(date) for date in partitions_of(MINUTES).dates_between(dt.date(2024, 1, 1), dt.date(2024, 2, 2))]
FIVE = Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")


@pytest.fixture
def twins(mdp: Mdp, tmp_path: Path) -> tuple[Path, Path]:
    """January 2024 and two sessions of February: of one catalog January lies in one file."""
    Path("aapl.yaml").write_text(AAPL_YAML)
    roots = tmp_path / "compacted", tmp_path / "twin"
    for root in roots:
        mdp("instruments", "define", "--instruments", "aapl.yaml", "--catalog", root)
        store_whole(root, DATES)
    assert ": 21 sessions joined: 23 files became 3, " in mdp("catalog", "compact", "--catalog", roots[0]).out
    return roots


def contents(root: Path, series: Series = MINUTES) -> list[tuple[int, str, int, str]]:
    """Return what is stored of each session."""
    catalog = Catalog.open(root)
    found = catalog.contents(series)
    catalog.ledger.close()
    return found


def files(root: Path) -> int:
    return len(list((root / "data" / "bar" / MINUTES.folder).glob("*.parquet")))


def test_exports_are_the_same_to_the_byte(mdp: Mdp, twins: tuple[Path, Path]) -> None:
    for root in twins:
        ended = mdp("catalog", "export", "AAPL.NASDAQ", "1-MINUTE-LAST", "--start", "2024-01-30", "--out", f"{root.name}.csv", "--catalog", root)
        assert ended.code == 0, ended.err
    compacted, twin = (Path(f"{root.name}.csv").read_bytes() for root in twins)
    assert compacted == twin
    assert compacted.count(b"\n") == 4 * 390 + 1


def test_checks_derived_bars_and_facts_are_the_same(mdp: Mdp, twins: tuple[Path, Path]) -> None:
    answers = []
    for root in twins:
        assert mdp("load", "AAPL.NASDAQ", FIVE.spec, "--derive", "--from", "1-MINUTE-LAST", "--catalog", root).code == 0
        answers.append(mdp("check", "--json", "--catalog", root).json["series"])
    assert contents(twins[0], FIVE) == contents(twins[1], FIVE)
    without = ("bytes", "updated_at", "stored_at")
    assert [{key: value for key, value in one.items() if key not in without} for one in answers[0]] == [
        {key: value for key, value in one.items() if key not in without} for one in answers[1]
    ]
    mdp("catalog", "compact", "--undo", "--catalog", twins[0])
    assert "stale" not in mdp("catalog", "verify", "--catalog", twins[0]).out  # derived from the same bars
    facts = [session_facts(Catalog.open(root), MINUTES) for root in twins]
    assert facts[0].days.tolist() == facts[1].days.tolist()


def test_a_backtest_has_the_same_passport_and_result(mdp: Mdp, twins: tuple[Path, Path]) -> None:
    asked = ["--bar-type", "AAPL.NASDAQ-1-MINUTE-LAST", "--start", "2024-01-02", "--end", "2024-02-02", "--balance", "100000 USD"]
    found: list[dict[str, Any]] = []
    for root in twins:
        ended = mdp("backtest", "run", *asked, "--config", '{"fast_period": 5, "slow_period": 10}', "--name", "one", "--catalog", root, "--json")
        assert ended.code == 0, ended.err
        found.append(ended.json)
    assert found[0]["passport"]["bars"] == 23 * 390
    assert found[0]["passport"]["bars_fingerprint"] == found[1]["passport"]["bars_fingerprint"]
    assert found[0]["statistics"] == found[1]["statistics"]


def test_imports_replace_and_merge_the_same(mdp: Mdp, twins: tuple[Path, Path]) -> None:
    write_csv(Path("other.csv"), ["2024-01-05", "2024-01-31"], price="190.00")
    write_csv(Path("part.csv"), ["2024-01-10"], count=100, price="190.00")
    options = ["--instrument", "AAPL.NASDAQ", "--bar", "1-MINUTE-LAST", "--timezone", "America/New_York", "--stamp", "open"]
    # Whole sessions are replaced in the file of the month; one that is then known in part takes it apart.
    for file, conflict, expected in (("other.csv", "overwrite", 3), ("part.csv", "merge --prefer file", 3), ("part.csv", "overwrite", 23)):
        for root in twins:
            ended = mdp("import-csv", file, *options, "--on-conflict", *conflict.split(), "--catalog", root)
            assert ended.code == 0, ended.err
        assert (files(twins[0]), files(twins[1])) == (expected, 23)
        assert contents(twins[0]) == contents(twins[1])
    assert [count for _, _, count, _ in contents(twins[0])].count(390) == 22
    assert mdp("catalog", "verify", "--catalog", twins[0]).code == 0


def test_a_compacted_catalog_is_adopted_like_its_twin(mdp: Mdp, twins: tuple[Path, Path], tmp_path: Path) -> None:
    for root in twins:
        ended = mdp("catalog", "adopt", root, "--catalog", tmp_path / f"{root.name}-adopted")
        assert ended.code == 0, ended.err
    assert contents(tmp_path / "compacted-adopted") == contents(tmp_path / "twin-adopted") == contents(twins[1])


def test_nautilus_sees_no_gap_and_the_same_bars(twins: tuple[Path, Path]) -> None:
    compacted, twin = (ParquetDataCatalog(root) for root in twins)
    start, end = "2024-01-02T00:00:00Z", "2024-02-02T23:59:00Z"
    for one in (compacted, twin):
        missing = one.get_missing_intervals_for_request(_ns(start), _ns(end), Bar, MINUTES.bar_type)
        assert missing == []
    assert compacted.query(Bar, start=start, end=end) == twin.query(Bar, start=start, end=end)
    days = [one.query(Bar, start="2024-01-17T00:00:00Z", end="2024-01-17T23:59:00Z") for one in (compacted, twin)]
    assert len(days[0]) == 390
    assert days[0] == days[1]


def _ns(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp()) * 1_000_000_000
