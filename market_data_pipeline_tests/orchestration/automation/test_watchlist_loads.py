"""What is new in the watchlist is loaded once, from the universe's start, when there is somebody to ask."""

from __future__ import annotations

import datetime as dt
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.automation.places import Places
from market_data_pipeline.orchestration.automation.watchlist_loads import Piece, Seen, by_year, history_of, watchlist_loads_sensor
from market_data_pipeline.orchestration.broker import IbkrResource
from market_data_pipeline.orchestration.partitions import RANGE_END_TAG, RANGE_START_TAG
from market_data_pipeline.orchestration.resources import CatalogResource
from market_data_pipeline.orchestration.universe import universe_parts
from market_data_pipeline.watchlist import read_watchlist
from market_data_pipeline_tests.instants import NEW_YORK, ns
from market_data_pipeline_tests.orchestration.automation.situations import Situation, tries
from market_data_pipeline_tests.orchestration.conftest import Project, opened, started, write_csv, write_project

_BROKERED = """
universes:
  brokered:
    calendar: NYSE
    start: 2022-12-28
    end: 2024-01-31
    bars: ["5-MINUTE-LAST"]
    instruments: ["NVDA.NASDAQ", "AMD.NASDAQ"]
    source: ibkr
    hours: rth
"""
Launch = tuple[str, str, str]


class Loader:
    """The sensor as it was loaded, and its cursor."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.cursor: str | None = None
        self.keys: set[str] = set()
        self.reload()

    def reload(self) -> None:
        """Load the code again, as the page's button does."""
        project = self._project
        watchlist = read_watchlist(project.root / "watchlist.yaml")
        parts = [universe_parts(watchlist, name) for name in watchlist.universes]
        root = project.root
        places = Places(root / "catalog", root / "watchlist.yaml", root / "backtests", root / "inbox", root / "results", root / "strategies.yaml")
        self.sensor = watchlist_loads_sensor(parts, places)

    def tick(self) -> list[Launch] | str:
        """Return the runs that are launched (job, first and last partition), as the daemon does: none whose key was there. Or why there are none."""
        resources = {"catalog": CatalogResource(path=str(self._project.root / "catalog")), "ibkr": IbkrResource.of_environment()}
        with dg.build_sensor_context(self._project.instance, cursor=self.cursor, resources=resources) as context:
            data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor if data.cursor is not None else self.cursor
        for request in data.dynamic_partitions_requests or []:
            assert isinstance(request, dg.AddDynamicPartitionsRequest)
            self._project.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        new = [request for request in data.run_requests or [] if request.run_key not in self.keys]
        self.keys |= {str(request.run_key) for request in new}
        launched = [(str(one.job_name), one.tags[RANGE_START_TAG], one.tags[RANGE_END_TAG]) for one in new]
        return launched if data.run_requests else str(data.skip_message)


def edit(project: Project, old: str, new: str) -> None:
    path = project.root / "watchlist.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Something that listens where a gateway would."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
        monkeypatch.setenv("IB_PORT", str(port))
        yield port


@pytest.fixture
def brokered(tmp_path: Path) -> Iterator[Project]:
    write_project(tmp_path)
    (tmp_path / "watchlist.yaml").write_text(_BROKERED)
    with opened(tmp_path) as project:
        yield project


# By NYSE's calendar: 2022-12-28 and 2022-12-30 are the first and last session of the piece of 2022, 2023-01-03 and 2023-12-29 of 2023.
NVDA = [
    ("brokered_bars", "2022-12-28|NVDA.NASDAQ", "2022-12-30|NVDA.NASDAQ"),
    ("brokered_bars", "2023-01-03|NVDA.NASDAQ", "2023-12-29|NVDA.NASDAQ"),
    ("brokered_bars", "2024-01-02|NVDA.NASDAQ", "2024-01-31|NVDA.NASDAQ"),
]
AMD = [(job, first.replace("NVDA", "AMD"), last.replace("NVDA", "AMD")) for job, first, last in NVDA]


@tries("watchlist_loads", Situation.FIRST_TICK, Situation.NOTHING_TO_DO)
@pytest.mark.usefixtures("listener")
def test_definitions_and_history_are_launched_once_by_year(brokered: Project) -> None:
    loader = Loader(brokered)
    assert loader.tick() == [("brokered_instruments", "NVDA.NASDAQ", "AMD.NASDAQ"), *NVDA, *AMD]
    assert loader.tick() == "All that the watchlist names was launched before, or is stored."


@tries("watchlist_loads", Situation.TWICE)
@pytest.mark.usefixtures("listener")
def test_a_restart_without_its_cursor_launches_nothing_twice(brokered: Project) -> None:
    loader = Loader(brokered)
    loader.tick()
    loader.cursor = None
    assert loader.tick() == []
    loader.cursor = "of another version"
    assert loader.tick() == []


@pytest.mark.usefixtures("listener")
@tries("watchlist_loads", Situation.RESTART)
def test_after_a_restart_only_what_was_written_meanwhile_is_launched(brokered: Project) -> None:
    before = Loader(brokered)
    before.tick()
    edit(brokered, '"AMD.NASDAQ"]', '"AMD.NASDAQ", "META.NASDAQ"]')
    with started(brokered.root) as again:
        after = Loader(again)
        after.cursor = before.cursor
        launched = after.tick()
        assert isinstance(launched, list)
        assert {first.rpartition("|")[2] for _, first, _ in launched} == {"META.NASDAQ"}
        assert after.tick() == "All that the watchlist names was launched before, or is stored."


@tries("watchlist_loads", Situation.NEW_WORK)
@pytest.mark.usefixtures("listener")
def test_a_new_instrument_is_defined_and_loaded_from_the_start_of_its_universe(brokered: Project) -> None:
    loader = Loader(brokered)
    loader.tick()
    edit(brokered, '"AMD.NASDAQ"]', '"AMD.NASDAQ", "META.NASDAQ"]')
    meta = [(job, first.replace("NVDA", "META"), last.replace("NVDA", "META")) for job, first, last in NVDA]
    assert loader.tick() == [("brokered_instruments", "META.NASDAQ", "META.NASDAQ"), *meta]
    assert "META.NASDAQ" in brokered.instance.get_dynamic_partitions("brokered_instruments")


@pytest.mark.usefixtures("listener")
def test_a_start_that_moves_back_loads_the_older_part_only_once_the_code_is_loaded_again(brokered: Project) -> None:
    """Dagster makes no run of partitions that the loaded code does not have."""
    loader = Loader(brokered)
    loader.tick()
    edit(brokered, "start: 2022-12-28", "start: 2021-12-30")
    said = loader.tick()
    assert isinstance(said, str)
    assert "sessions of brokered from 2021-12-30 to before 2022-12-28: click Reload definitions" in said
    loader.reload()
    older = [("2021-12-30", "2021-12-31"), ("2022-01-03", "2022-12-27")]
    expected = [("brokered_bars", f"{first}|{name}", f"{last}|{name}") for name in ("NVDA.NASDAQ", "AMD.NASDAQ") for first, last in older]
    assert loader.tick() == expected
    edit(brokered, "start: 2021-12-30", "start: 2023-12-28")
    assert loader.tick() == "All that the watchlist names was launched before, or is stored."


@tries("watchlist_loads", Situation.FAULT)
def test_while_no_gateway_listens_nothing_is_launched_and_then_it_is(brokered: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IB_PORT", "1")
    loader = Loader(brokered)
    began = time.monotonic()
    said = loader.tick()
    assert time.monotonic() - began < 5
    assert isinstance(said, str)
    assert "Not launched: NVDA.NASDAQ of brokered: nothing listens at 127.0.0.1:1" in said
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("IB_PORT", str(server.getsockname()[1]))
        assert loader.tick() == [("brokered_instruments", "NVDA.NASDAQ", "AMD.NASDAQ"), *NVDA, *AMD]


@pytest.mark.usefixtures("listener")
def test_a_broken_watchlist_launches_nothing_and_mended_it_goes_on(brokered: Project) -> None:
    loader = Loader(brokered)
    edit(brokered, "hours: rth", "hours: rht")
    said = loader.tick()
    assert isinstance(said, str)
    assert "watchlist.yaml, line 10: universes.brokered.hours" in said
    edit(brokered, "hours: rht", "hours: rth")
    assert len(loader.tick()) == 7


@pytest.mark.usefixtures("listener")
def test_many_runs_are_spread_over_ticks(brokered: Project) -> None:
    """3 pieces each: 8 instruments are 24 runs, the ninth and tenth follow."""
    names = [f"{letter}{letter}.NASDAQ" for letter in "ABCDEFGHIJ"]
    edit(brokered, '["NVDA.NASDAQ", "AMD.NASDAQ"]', "[" + ", ".join(f'"{name}"' for name in names) + "]")
    loader = Loader(brokered)
    launched = [loader.tick(), loader.tick(), loader.tick()]
    bars = [{run[1].partition("|")[2] for run in runs if run[0] == "brokered_bars"} for runs in launched if isinstance(runs, list)]
    assert bars == [set(names[:8]), set(names[8:])]


def test_files_that_are_stored_whole_are_not_loaded_and_those_that_are_absent_neither(project: Project) -> None:
    """January 2024 from CSV files: AAPL is stored, MSFT is not, GOOGL has no file yet."""
    assert project.run("stocks_bars", "2024-01-02|AAPL.NASDAQ", "2024-01-31|AAPL.NASDAQ").success
    edit(project, '"MSFT.NASDAQ"]', '"MSFT.NASDAQ", "GOOGL.NASDAQ"]')
    loader = Loader(project)
    msft = [("stocks_instruments", "MSFT.NASDAQ", "MSFT.NASDAQ"), ("stocks_bars", "2024-01-02|MSFT.NASDAQ", "2024-01-31|MSFT.NASDAQ")]
    assert loader.tick() == msft
    said = loader.tick()
    assert isinstance(said, str)
    assert "GOOGL.NASDAQ of stocks: there is no file csv/GOOGL.NASDAQ-5-MINUTE-LAST.csv" in said
    write_csv(project.root / "csv" / "GOOGL.NASDAQ-5-MINUTE-LAST.csv", "GOOGL.NASDAQ")
    googl = [(job, first.replace("MSFT", "GOOGL"), last.replace("MSFT", "GOOGL")) for job, first, last in msft]
    assert loader.tick() == googl


def test_what_is_launched_stores_the_history(project: Project) -> None:
    loader = Loader(project)
    launched = loader.tick()
    assert isinstance(launched, list)
    for job, *keys in launched:
        assert project.run(job, *keys).success
    for name in ("AAPL.NASDAQ", "MSFT.NASDAQ"):
        assert project.catalog.gaps(Series.of(name, "5-MINUTE-LAST"), dt.date(2024, 1, 2), dt.date(2024, 1, 31)) == ()


def test_sessions_are_cut_at_new_year() -> None:
    sessions = [dt.date(2023, 12, 28), dt.date(2023, 12, 29), dt.date(2024, 1, 2)]
    assert by_year(sessions) == [Piece(sessions[0], sessions[1]), Piece(sessions[2], sessions[2])]


def test_a_cursor_says_again_what_was_seen() -> None:
    seen = Seen({"stocks_bars": {"AAPL.NASDAQ": dt.date(2024, 1, 2)}})
    assert Seen.of_cursor(seen.cursor()) == seen
    assert Seen.of_cursor(None) == Seen()


def test_loads_are_off_until_somebody_switches_them_on(project: Project) -> None:
    assert Loader(project).sensor.default_status is dg.DefaultSensorStatus.STOPPED


@pytest.mark.parametrize(("now", "last"), [("2024-11-29 13:14", "2024-11-27"), ("2024-11-29 13:15", "2024-11-29")])
def test_a_session_that_has_not_settled_is_left_to_the_schedule(tmp_path: Path, now: str, last: str) -> None:
    """NYSE was closed on Thursday 2024-11-28, and at 13:00 on Friday (NYSE holidays and trading hours 2024)."""
    file = tmp_path / "watchlist.yaml"
    file.write_text(
        "universes:\n  stocks:\n    calendar: NYSE\n    start: 2024-11-25\n    bars: [1-MINUTE-LAST]\n"
        '    instruments: ["NVDA.NASDAQ"]\n    source: ibkr\n    hours: rth\n'
    )
    universe = read_watchlist(file).universes["stocks"]
    catalog = Catalog.open(tmp_path / "catalog")
    history = history_of(catalog, "stocks", universe, "stocks_bars", ["1-MINUTE-LAST"], "NVDA.NASDAQ", None, ns(now, NEW_YORK))
    assert history is not None
    assert [(str(piece.first), str(piece.last)) for piece in history.pieces] == [("2024-11-25", last)]
