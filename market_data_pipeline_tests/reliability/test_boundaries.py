"""What nobody may reach from outside: files beyond the catalog, ports beyond this machine, passwords and account numbers.

That SQL is bound, and that a migration shows no password: `cli/test_migrate.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from market_data_pipeline.catalog.instrument_versions import versions_folder
from market_data_pipeline.catalog.layout import CatalogLayout
from market_data_pipeline.cli.endings import without_passwords
from market_data_pipeline.domain.bar_types import Series, parse_instrument_id
from market_data_pipeline.domain.errors import MarketDataError
from market_data_pipeline_tests import tally
from market_data_pipeline_tests.cli.conftest import HASTE
from market_data_pipeline_tests.gateway import start_gateway
from market_data_pipeline_tests.orchestration.page import dagster_dev
from market_data_pipeline_tests.reliability.crash_harness import REPOSITORY, Crashing
from market_data_pipeline_tests.reliability.fuzzing import Fuzz
from market_data_pipeline_tests.reliability.mutating import NASTY

ROOT = Path("/somewhere/catalog")
_ODD = st.one_of(
    st.text(max_size=40),
    st.sampled_from(NASTY),
    st.lists(st.sampled_from(["..", "/", ".", "A", "\\", "~", "\0", " ", "-", "X.NASDAQ", "%2e%2e", "\u2044", "\uff0e", ":"]), max_size=8).map(
        "".join
    ),
)


def stays_below(folder: Path, place: Path) -> bool:
    """Return whether a folder is a direct child of a place, whatever its name is made of."""
    name = folder.name
    return (
        folder.parent == place and Path(os.path.normpath(folder)) == folder and "/" not in name and "\0" not in name and name not in ("", ".", "..")
    )


@given(_ODD, _ODD)
@example("../../x", "NASDAQ")
@example("EUR/../../USD", "IDEALPRO")
@example("..", "NASDAQ")
@example(".", "..")
def test_no_instrument_id_leads_out_of_the_catalog(symbol: str, venue: str) -> None:
    tally.count("fuzz cases")
    try:
        instrument_id = parse_instrument_id(f"{symbol}.{venue}")
        series = Series.of(instrument_id, "1-MINUTE-LAST")
    except MarketDataError:
        return
    layout = CatalogLayout(ROOT)
    assert stays_below(layout.series_folder(series), layout.bars)
    assert stays_below(layout.locks / f"{series.folder}.lock", layout.locks)
    assert stays_below(versions_folder(ROOT, instrument_id), ROOT / "instrument_versions")


@given(_ODD)
@example("../../../tmp/x.NASDAQ-1-MINUTE-LAST-EXTERNAL")
@example("A/../B.NASDAQ-1-MINUTE-LAST-EXTERNAL")
def test_no_bar_type_leads_out_of_the_catalog(text: str) -> None:
    tally.count("fuzz cases")
    try:
        series = Series.parse(text)
    except MarketDataError:
        return
    layout = CatalogLayout(ROOT)
    assert stays_below(layout.series_folder(series), layout.bars)


@pytest.fixture
def fuzz(tmp_path: Path, crashing: Crashing) -> Fuzz:
    (tmp_path / "prepared").mkdir()
    return Fuzz(crashing, tmp_path / "prepared", {"MDP_CATALOG": "catalog", "IB_PORT": "1"})


_CSV = b"symbol,timestamp,open,high,low,close,volume\n%s,2024-02-12 14:30,185,186,184,185,100\n"


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("symbol", ["../../../outside", "..", "/etc/outside", "A/../../outside", "~root", "outside\\..\\x"])
def test_symbols_in_files_and_names_of_files_write_nothing_outside(fuzz: Fuzz, symbol: str) -> None:
    """By the column of a CSV file, by the name of an inbox file, by its sidecar, and by what a rule makes of it."""
    fuzz.folder.parent.joinpath("watched").mkdir()
    row = _CSV % symbol.encode()
    rules = b'rules:\n  - {pattern: "{instrument}-{bar}.csv", time_zone: UTC, stamp: open}\n'
    sidecar = f"instrument: '{symbol}.NASDAQ'\nbar: 1-MINUTE-LAST\ntime_zone: UTC\nstamp: open\n".encode()
    name = symbol.replace("/", "").replace("\\", "") or "x"
    files = {
        "a.csv": row,
        "watched/inbox/b.csv": row,
        "watched/inbox/b.csv.yaml": sidecar,
        f"watched/inbox/{name}-1-MINUTE-LAST.csv": row,
        "inbox.yaml": rules,
    }
    fuzz.run(["import-csv", "a.csv", "--map", f"{symbol}={symbol}.NASDAQ", "--bar", "1-MINUTE-LAST", "--timezone", "UTC", "--stamp", "open"], files)
    around = {path.name for path in fuzz.folder.parent.iterdir()}
    fuzz.again(["inbox", "run", "--inbox", "watched/inbox", "--rules", "inbox.yaml"])
    fuzz.again(["instruments", "show", f"{symbol}.NASDAQ"])
    fuzz.again(["catalog", "export", f"{symbol}.NASDAQ", "1-MINUTE-LAST", "--out", "out/"])
    fuzz.again(["backtest", "show", symbol])
    fuzz.again(
        [
            *("backtest", "run", "--bar-type", "AAPL.NASDAQ-1-MINUTE-LAST", "--start", "2024-02-05", "--end", "2024-02-06"),
            *("--balance", "1000 USD", "--name", symbol),
        ]
    )
    assert {path.name for path in fuzz.folder.parent.iterdir()} == around == {"prepared", "fuzzed", "watched"}
    assert tree(fuzz.folder.parent / "watched") == set()
    written = {one for one in tree(fuzz.folder) if "outside" in one and not one.startswith(("watched/", "state/"))}
    assert written == set()


SECRET = "sesame-7041"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://trader:{SECRET}@host/db",
        f"postgresql+psycopg://trader:{SECRET}@host:5432/db?x=1",
        f"'postgresql://trader:{SECRET}@@host/db'",
        f"postgresql://trader:p@{SECRET}@host/db",
        f"postgresql://:{SECRET}@/db",
        f"host=h password={SECRET} user=u",
        f"host=h password = '{SECRET} x' user=u",
        f"postgresql://h/db?user=u&password={SECRET}&x=1",
    ],
)
def test_a_password_is_masked_in_whatever_is_kept(text: str) -> None:
    masked = without_passwords(f"mdp migrate postgres {text} --venue NASDAQ")
    assert SECRET not in masked
    assert masked.startswith("mdp migrate postgres ")
    assert masked.endswith(" --venue NASDAQ")


def test_a_ledger_that_cannot_be_reached_shows_no_password(fuzz: Fuzz) -> None:
    for url in (
        f"postgresql+psycopg://trader:{SECRET}@127.0.0.1:1/ledger",
        f"postgresql+psycopg://trader:x:{SECRET}@h/ledger",
        f"nothing://t:{SECRET}@h/l",
    ):
        ended = fuzz.run(["check"], {"catalog/ledger.url": url.encode(), "catalog/data/bar/x/y": b""})
        assert ended.code in (1, 2), ended.said
        assert SECRET not in ended.said


ACCOUNT = "DU7041984"


def test_an_account_number_is_kept_nowhere(tmp_path: Path, crashing: Crashing) -> None:
    """Neither shown nor written to a file, by any command that meets it."""
    (tmp_path / "prepared").mkdir()
    (tmp_path / "haste.yaml").write_text(HASTE)
    with start_gateway(tmp_path / "gateway", "--no-pacing", "--now", "2024-03-01T22:00Z", "--account", ACCOUNT) as gateway:
        environment = {"MDP_CATALOG": "catalog", "IB_PORT": str(gateway.port), "IB_PACING": str(tmp_path / "haste.yaml"), "IB_WAIT_SCALE": "0"}
        fuzz = Fuzz(crashing, tmp_path / "prepared", environment)
        said = [fuzz.run(["ibkr", "status"]).said, fuzz.again(["ibkr", "status", "--json"]).said, fuzz.again(["ibkr", "health"]).said]
        said.append(fuzz.again(["load", "AAPL.NASDAQ", "1-DAY-LAST", "--start", "2024-02-05", "--end", "2024-02-09"]).said)
        environment["IB_ACCOUNT_MODE"] = "live"
        (tmp_path / "other" / "prepared").mkdir(parents=True)
        refused = Fuzz(crashing, tmp_path / "other" / "prepared", environment).run(["ibkr", "status"])
        assert "paper account" in refused.said
    assert "••" in said[0]
    assert [text for text in [*said, refused.said] if ACCOUNT in text] == []
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and "gateway" not in path.parts and ACCOUNT.encode() in path.read_bytes()]
    assert holding == []


def listening(pids: set[int]) -> set[tuple[str, int]]:
    """Return (address as the kernel writes it, port) of every TCP socket on which one of these processes listens."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, _, port = fields[1].rpartition(":")
                found.add((address, int(port, 16)))
    return found


# 127.0.0.1 and ::1, as /proc/net/tcp writes them on a little-endian machine.
LOOPBACK = {"0100007F", "00000000000000000000000001000000"}
_linux = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc/net/tcp, which only Linux has")


@_linux
def test_the_gateway_simulator_and_its_statistics_listen_on_loopback_alone(tmp_path: Path) -> None:
    with start_gateway(tmp_path) as gateway:
        found = listening({gateway.process.pid})
    assert {port for _, port in found} == {gateway.port, gateway.stats_port}
    assert {address for address, _ in found} <= LOOPBACK


def group_of(leader: int) -> set[int]:
    """Return the processes of a group."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            group = stat.read_text(errors="replace").rpartition(")")[2].split()[2]
        except OSError:
            continue
        if int(group) == leader:
            found.add(int(stat.parent.name))
    return found


@pytest.mark.slow
@_linux
def test_the_page_and_all_that_it_starts_listen_on_loopback_alone(tmp_path: Path, dagster_home: Path) -> None:
    """Webserver, daemon and code server, started as `./dev up` starts them."""
    assert '"$BIN/dagster" dev -w workspace.yaml -h 127.0.0.1 -p "$port" "$@"' in (REPOSITORY / "dev").read_text()
    with dagster_dev(dagster_home, {"MDP_CATALOG": str(tmp_path / "catalog")}) as page:
        found = listening(group_of(page.group))
    assert int(page.url.rpartition(":")[2]) in {port for _, port in found}
    assert {address for address, _ in found} <= LOOPBACK
