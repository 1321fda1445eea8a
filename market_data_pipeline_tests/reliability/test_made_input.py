"""Whatever a file or an argument holds: right, or refused in one clear message. Never a traceback, a hang, an abort, or memory without end.

Each case is a command in a process of its own, with a limit of time and of memory. `./dev test --all` tries ten times as many.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.catalog.instrument_definitions import InstrumentDefinitions, define
from market_data_pipeline.catalog.reconcile import BadFiles
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline.gateway_simulator.market.directory import Directory
from market_data_pipeline.gateway_simulator.scenario import Scenario
from market_data_pipeline.live.strategies_file import read_strategies
from market_data_pipeline_tests import tally
from market_data_pipeline_tests.catalog.bar_making import AAPL, WEEK, answer, store
from market_data_pipeline_tests.cli.stored import AAPL_YAML
from market_data_pipeline_tests.reliability.crash_harness import REPOSITORY, Crashing
from market_data_pipeline_tests.reliability.fuzzing import Fuzz
from market_data_pipeline_tests.reliability.mutating import NASTY, many_damaged

SEED = "reliability"
FEW, MANY = 4, 200
# Each is slow in its long form alone.
_often = pytest.mark.parametrize(
    "count", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
CSV_FILES = REPOSITORY / "market_data_pipeline_tests" / "sources" / "csv" / "files" / "accepted"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a catalog of one week, a definition, and the project's own configuration."""
    folder = tmp_path / "prepared"
    folder.mkdir()
    catalog = Catalog.open(folder / "catalog")
    store(catalog, *(answer(AAPL, date) for date in WEEK))
    (folder / "instruments.yaml").write_text(AAPL_YAML)
    catalog.instruments.put(define("AAPL.NASDAQ", InstrumentDefinitions.read(folder / "instruments.yaml")), "instruments.yaml")
    catalog.ledger.close()
    return folder


@pytest.fixture
def fuzz(here: Path, crashing: Crashing) -> Fuzz:
    return Fuzz(crashing, here, {"MDP_CATALOG": "catalog", "IB_PORT": "1"})


def files_outside(fuzz: Fuzz) -> set[str]:
    """Return what lies in the folder around the one in which commands run."""
    return {path.name for path in fuzz.folder.parent.iterdir()}


def require_sound(folder: Path, context: object) -> None:
    """Make sure that what a command stored is what may be stored."""
    catalog = Catalog.open(folder / "catalog")
    problems = [one for one in catalog.verify(bad_files=BadFiles.LEAVE).problems if one.kind != "orphan bars"]
    catalog.ledger.close()
    assert problems == [], context


CSVS = sorted(path.name for path in CSV_FILES.iterdir())


@_often
def test_bytes_of_csv_files(fuzz: Fuzz, count: int) -> None:
    """Of files of all vendors; what is imported leaves a sound catalog."""
    rng = random.Random(SEED)
    for number, seed in enumerate(range(count)):
        name = rng.choice(CSVS)
        (content,) = many_damaged(f"{SEED} csv {seed}", (CSV_FILES / name).read_bytes(), 1)
        bar, stamp = rng.choice(("1-MINUTE-LAST", "5-MINUTE-LAST", "1-DAY-LAST")), rng.choice(("open", "close"))
        command = ["import-csv", name, "--instrument", "AAPL.NASDAQ", "--bar", bar, "--timezone", "America/New_York", "--stamp", stamp]
        more = [["--skip-bad-rows"], ["--on-conflict", "overwrite"], ["--accept-holes"], []][number % 4]
        ended = fuzz.run([*command, *more], {name: content})
        if ended.code == 0:
            require_sound(fuzz.folder, (command, content[:500]))


_WATCHLIST = (REPOSITORY / "config" / "watchlist.yaml").read_bytes()
_DEFINITIONS = (REPOSITORY / "config" / "instruments.yaml").read_bytes()
_BACKTEST = (REPOSITORY / "backtests" / "sma_cross_aapl.yaml").read_bytes()
_RULES = b'rules:\n  - {pattern: "{instrument}-{bar}.csv", time_zone: UTC, stamp: open}\n'
_PACING = b"name: mine\nsmall_bars: {requests: 60, window_s: 600, same_contract: 6, identical_s: 15}\nmessages: 50\nmessages_s: 1\n"
_SCENARIO = b"faults:\n  - {on: history, when: '3', what: drop-middle}\n  - {on: connect, when: '20%', what: silence}\n"
_LAYOUT = b"columns: {time: timestamp, open: open, high: high, low: low, close: close, volume: volume}\ntime_zone: UTC\nstamp: open\n"
_MAP = b"symbols:\n  AAPL: AAPL.NASDAQ\n  OLD: null\n"
_CSV = b"timestamp,open,high,low,close,volume\n2024-02-12 14:30,185,186,184,185,100\n"
YAMLS: dict[str, tuple[bytes, Sequence[str], dict[str, bytes]]] = {
    "watchlist": (_WATCHLIST, ["watchlist", "validate", "--config", "made.yaml"], {"instruments.yaml": _DEFINITIONS}),
    "watchlist-used": (_WATCHLIST, ["check", "--config", "made.yaml"], {"instruments.yaml": _DEFINITIONS}),
    "watchlist-edited": (_WATCHLIST, ["watchlist", "add", "us_equities", "NVDA.NASDAQ", "--config", "made.yaml"], {"instruments.yaml": _DEFINITIONS}),
    "instruments": (_DEFINITIONS, ["instruments", "define", "--instruments", "made.yaml"], {}),
    "backtest": (_BACKTEST, ["backtest", "run", "made.yaml"], {}),
    "inbox": (_RULES, ["inbox", "run", "--rules", "made.yaml"], {"data/inbox/AAPL.NASDAQ-1-MINUTE-LAST.csv": _CSV}),
    "layout": (
        _LAYOUT,
        ["import-csv", "a.csv", "--instrument", "AAPL.NASDAQ", "--bar", "1-MINUTE-LAST", "--layout", "made.yaml"],
        {"a.csv": _CSV},
    ),
    "pacing": (_PACING, ["ibkr", "budget"], {}),
    "symbols": (_MAP, ["migrate", "postgres", "postgresql://nobody@127.0.0.1:1/x", "--map", "made.yaml"], {}),
}


@_often
@pytest.mark.parametrize("kind", YAMLS)
def test_yaml_files(here: Path, crashing: Crashing, kind: str, count: int) -> None:
    content, command, files = YAMLS[kind]
    fuzz = Fuzz(crashing, here, {"MDP_CATALOG": "catalog", "IB_PORT": "1", "IB_PACING": "made.yaml"})
    fuzz.run(command, {**files, "made.yaml": content})
    for made in many_damaged(f"{SEED} {kind}", content, count):
        fuzz.run(command, {**files, "made.yaml": made})


_STRATEGIES = (REPOSITORY / "config" / "strategies.yaml").read_bytes()
_CONTRACTS = (REPOSITORY / "market_data_pipeline" / "gateway_simulator" / "market" / "contracts.yaml").read_bytes()[:4_000]
# Files that no command reads and comes to an end: the reader of each.
READERS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "strategies": (_STRATEGIES, read_strategies),
    "scenario": (_SCENARIO, lambda path: Scenario.read(path, [])),
    "contracts": (_CONTRACTS, Directory.read),
}


@_often
@pytest.mark.parametrize("kind", READERS)
def test_yaml_files_of_what_runs_for_ever(tmp_path: Path, kind: str, count: int) -> None:
    content, read = READERS[kind]
    file = tmp_path / "made.yaml"
    for made in many_damaged(f"{SEED} {kind}", content, count * 5):
        file.write_bytes(made)
        tally.count("fuzz cases")
        with suppress(MarketDataError):
            read(file)


_YAML_BOMBS = {
    "deep": b"universes: " + b"[" * 20_000,
    "deep-mapping": b"a: " + b"{a: " * 5_000,
    "laughs": b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    + b"".join(b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 12)),
    "itself": b"a: &a {b: *a}\n",
    "merged": b"a: &a {x: 1}\n" + b"".join(b"m%d: {<<: [*a, *a]}\n" % i for i in range(100)),
    "long-line": b"a: " + b"x" * 3_000_000,
    "long-number": b"universes: " + b"9" * 20_000,
    "many-keys": b"".join(b"k%d: 1\n" % i for i in range(20_000)),
    "tabs": b"a:\t\t- b\n\t- c",
    "two-documents": b"a: 1\n---\nb: 2\n",
    "object": b"!!python/object/apply:os.system ['touch outside']",
}


@pytest.mark.parametrize("bomb", _YAML_BOMBS)
def test_yaml_that_means_harm(fuzz: Fuzz, bomb: str) -> None:
    """All configuration is read by one reader: `configuration/yaml_file.py`."""
    ended = fuzz.run(["watchlist", "validate", "--config", "made.yaml"], {"made.yaml": _YAML_BOMBS[bomb]})
    assert ended.code in (1, 2), ended.said
    assert files_outside(fuzz) == {"prepared", "fuzzed"}


_WORDS = [word for word in NASTY if "\0" not in word and "\ud800" not in word and len(word) < 1_000]
# {} is where the word goes.
ARGUMENTS: dict[str, Sequence[str]] = {
    "check-id": ["check", "{}"],
    "check-bar": ["check", "AAPL.NASDAQ", "--bar", "{}"],
    "check-start": ["check", "AAPL.NASDAQ", "--start", "{}"],
    "check-end": ["check", "AAPL.NASDAQ", "--start", "2024-02-05", "--end", "{}"],
    "export-id": ["catalog", "export", "{}", "1-MINUTE-LAST", "--out", "out"],
    "export-columns": ["catalog", "export", "AAPL.NASDAQ", "1-MINUTE-LAST", "--columns", "{}", "--out", "-"],
    "export-timezone": ["catalog", "export", "AAPL.NASDAQ", "1-MINUTE-LAST", "--timezone", "{}", "--out", "x.csv"],
    "verify-id": ["catalog", "verify", "{}"],
    "show-id": ["instruments", "show", "{}"],
    "define-id": ["instruments", "define", "{}"],
    "load-id": ["load", "{}", "1-MINUTE-LAST", "--start", "2024-02-05", "--end", "2024-02-06"],
    "load-bar": ["load", "AAPL.NASDAQ", "{}", "--start", "2024-02-05", "--end", "2024-02-06"],
    "derive-bar": ["load", "AAPL.NASDAQ", "{}", "--derive"],
    "derive-from": ["load", "AAPL.NASDAQ", "5-MINUTE-LAST", "--derive", "--from", "{}"],
    "import-id": ["import-csv", "a.csv", "--instrument", "{}", "--bar", "1-MINUTE-LAST", "--timezone", "UTC", "--stamp", "open"],
    "import-bar": ["import-csv", "a.csv", "--instrument", "AAPL.NASDAQ", "--bar", "{}", "--timezone", "UTC", "--stamp", "open"],
    "import-timezone": ["import-csv", "a.csv", "--instrument", "AAPL.NASDAQ", "--bar", "1-MINUTE-LAST", "--timezone", "{}", "--stamp", "open"],
    "import-layout": ["import-csv", "a.csv", "--instrument", "AAPL.NASDAQ", "--bar", "1-MINUTE-LAST", "--layout", "{}"],
    "import-form": ["import-csv", "a.csv", "--instrument", "AAPL.NASDAQ", "--bar", "1-MINUTE-LAST", "--time-form", "{}"],
    "import-delimiter": ["import-csv", "a.csv", "--instrument", "AAPL.NASDAQ", "--bar", "1-MINUTE-LAST", "--delimiter", "{}"],
    "import-file": ["import-csv", "{}", "--instrument", "AAPL.NASDAQ", "--bar", "1-MINUTE-LAST"],
    "backtest-bars": ["backtest", "run", "--bar-type", "{}", "--start", "2024-02-05", "--end", "2024-02-06", "--balance", "1000 USD"],
    "backtest-money": [
        *("backtest", "run", "--bar-type", "AAPL.NASDAQ-1-MINUTE-LAST", "--start", "2024-02-05", "--end", "2024-02-06", "--balance", "{}"),
        "--allow-gaps",
    ],
    "backtest-strategy": [
        *("backtest", "run", "--bar-type", "AAPL.NASDAQ-1-MINUTE-LAST", "--start", "2024-02-05", "--end", "2024-02-06"),
        *("--balance", "1000 USD", "--strategy", "{}"),
    ],
    "backtest-show": ["backtest", "show", "{}"],
    "warmup-id": ["warmup", "{}", "1-MINUTE-LAST", "--bars", "10", "--source", "catalog"],
    "warmup-bars": ["warmup", "AAPL.NASDAQ", "1-MINUTE-LAST", "--bars", "{}", "--source", "catalog"],
    "migrate-url": ["migrate", "postgres", "{}", "--venue", "NASDAQ"],
    "adopt-path": ["catalog", "adopt", "{}"],
    "watchlist-add": ["watchlist", "add", "us_equities", "{}", "--config", "watchlist.yaml"],
}


_kinds = pytest.mark.parametrize(
    "kinds",
    [
        pytest.param(["import-id"], id="some"),
        pytest.param([*ARGUMENTS], id="all", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)


@_kinds
def test_words_in_urls_of_databases(here: Path, crashing: Crashing, kinds: Sequence[str]) -> None:
    """As host, port, user, password and database of the pacing table, and as the whole."""
    shapes = ["postgresql+psycopg://u:{}@127.0.0.1:1/d", "postgresql+psycopg://{}", "{}"] if len(kinds) > 1 else ["postgresql+psycopg://u@{}:1/d"]
    for shape in shapes:
        for word in _WORDS[:: 1 if len(kinds) > 1 else 6]:
            fuzz = Fuzz(crashing, here, {"MDP_CATALOG": "catalog", "IB_PORT": "1", "IB_PACING_DB": shape.replace("{}", word)})
            fuzz.run(["ibkr", "budget"])


@_kinds
def test_words_on_the_command_line(fuzz: Fuzz, kinds: Sequence[str]) -> None:
    before = None
    for kind in kinds:
        for word in _WORDS:
            fuzz.run([part.replace("{}", word) for part in ARGUMENTS[kind]], {"a.csv": _CSV, "watchlist.yaml": _WATCHLIST})
            found = files_outside(fuzz)
            before = before or found
            assert found == before, (kind, word)


_PARQUET = ("bar", "instrument", "ledger", "convention", "ledger-url", "version")


def target(kind: str, root: Path) -> Path:
    """Return the file of a catalog that is damaged."""
    if kind == "bar":
        return sorted((root / "data" / "bar").rglob("*.parquet"))[2]
    if kind == "instrument":
        return next((root / "data" / "equity").rglob("*.parquet"))
    if kind == "ledger":
        return root / "ledger.sqlite"
    if kind == "version":
        return next((root / "instrument_versions").rglob("*.json"))
    return root / "ledger.url" if kind == "ledger-url" else root / "data" / "bar" / AAPL.folder / "convention.json"


_AS_THEY_ARE = {"ledger-url": b"postgresql+psycopg://user@127.0.0.1:1/ledger\n", "convention": b'{"hours": "all", "adjustment": "raw"}\n'}


@_often
@pytest.mark.parametrize("kind", _PARQUET)
def test_bytes_in_a_catalog(fuzz: Fuzz, here: Path, crashing: Crashing, kind: str, count: int) -> None:
    """Every reading command answers or refuses; after a verification Nautilus, which aborts at a bad file, reads what is left."""
    file = target(kind, here / "catalog")
    content = _AS_THEY_ARE.get(kind) or file.read_bytes()
    name = str(file.relative_to(here))
    reading = (["check"], ["instruments", "show", "AAPL.NASDAQ", "--versions"], ["catalog", "export", "AAPL.NASDAQ", "1-MINUTE-LAST", "--out", "-"])
    for number, made in enumerate(many_damaged(f"{SEED} {kind}", content, count)):
        files = {name: made}
        fuzz.run(reading[number % len(reading)], files)
        verified = fuzz.again(["catalog", "verify"], files)
        if kind in ("bar", "instrument", "version"):
            assert fuzz.again(["catalog", "verify"], files).code == 0, verified.said
        told = crashing.ask(read=str(fuzz.folder / "catalog"))
        assert told["code"] == 0, f"Nautilus ended with {told['code']}: {made[:200]!r}"
        if kind == "bar":
            assert told["seen"]["bars"][AAPL.bar_type][:3] in ([1950, 1950, True], [1560, 1560, True]), made[:200]
    shutil.rmtree(fuzz.folder)
