"""Recorded bars are served as they are, and coarser ones are made of them."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import ConfigurationError, MarketDataError
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.gateway_simulator.market import Market, Refusal
from market_data_pipeline.samples import write_samples
from market_data_pipeline.sources.csv import CsvSource
from market_data_pipeline_tests.gateway_simulator.market.asking import AAPL, EURUSD, LATER, Row, merged, request, rows, stamps
from market_data_pipeline_tests.instants import NEW_YORK, ns

MINUTES = "EUR-USD_EUR_USD_IDEALPRO_15_MINUTE_MID_EXTERNAL.csv"
DAYS = "EUR-USD_EUR_USD_IDEALPRO_1_DAY_MID_EXTERNAL.csv"
REAL = f"""
series:
  - {{file: "{MINUTES}", instrument: EUR/USD.IDEALPRO, bars: 15-MINUTE-MID, stamp: close}}
  - {{file: "{DAYS}", instrument: EUR/USD.IDEALPRO, bars: 1-DAY-MID, stamp: close}}
"""

PRECISION = Precision(price=2, size=0)

# Regular hours of Friday 2024-01-05 and a little of Monday, opens in New York time.
FIVE_MINUTES = """timestamp,open,high,low,close,volume
2024-01-05T09:30:00-05:00,181.99,182.76,181.50,182.10,1000
2024-01-05T09:35:00-05:00,182.10,182.20,181.90,182.00,500
2024-01-05T09:55:00-05:00,182.00,182.40,181.95,182.30,700
2024-01-05T10:00:00-05:00,182.30,182.35,181.10,181.20,900
2024-01-08T09:30:00-05:00,182.09,183.00,182.00,182.95,1100
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five-minute bars of AAPL."""
    made = tmp_path / "recorded"
    made.mkdir()
    (made / "AAPL.NASDAQ-5-MINUTE-LAST.csv").write_text(FIVE_MINUTES)
    (made / "recorded.yaml").write_text(
        "series:\n  - {file: AAPL.NASDAQ-5-MINUTE-LAST.csv, instrument: AAPL.NASDAQ, bars: 5-MINUTE-LAST, stamp: open}\n"
    )
    return made


def prices(row: Row) -> tuple[str, ...]:
    return tuple(map(str, (*row.prices, row.volume)))


def test_recorded_bars_are_served_as_they_are(folder: Path) -> None:
    found = rows(Market.standard(recorded=folder), request(AAPL, "5 mins", "5 D", "20240109-00:00:00"))
    assert [int(row.date) * 10**9 for row in found] == [
        ns(f"2024-01-{moment}", NEW_YORK) for moment in ("05 09:30", "05 09:35", "05 09:55", "05 10:00", "08 09:30")
    ]
    assert prices(found[0]) == ("181.99", "182.76", "181.5", "182.1", "1000")


def test_coarser_bars_are_made_of_recorded_ones(folder: Path) -> None:
    market = Market.standard(recorded=folder)
    hours = rows(market, request(AAPL, "1 hour", "5 D", "20240106-00:00:00"))
    assert [prices(row) for row in hours] == [("181.99", "182.76", "181.5", "182.3", "2200"), ("182.3", "182.35", "181.1", "181.2", "900")]
    days = rows(market, request(AAPL, "1 day", "5 D", "20240109-00:00:00"))
    assert [(row.date, *prices(row)) for row in days] == [
        ("20240105", "181.99", "182.76", "181.1", "181.2", "3100"),
        ("20240108", "182.09", "183", "182", "182.95", "1100"),
    ]
    assert [row.date for row in rows(market, request(AAPL, "1W", "1 M", "20240113-00:00:00"))] == ["20240105", "20240112"]


def test_what_was_not_recorded_of_a_contract_is_not_there(folder: Path) -> None:
    market = Market.standard(recorded=folder)
    for question in (
        request(AAPL, "1 min", "1 D", "20240105-20:00:00"),
        request(AAPL, "5 mins", "1 D", "20240105-20:00:00", what="BID"),
        request(AAPL, "5 mins", "1 D", "20240104-20:00:00"),
    ):
        with pytest.raises(Refusal, match=r"162: .*HMDS query returned no data: AAPL@SMART"):
            market.history(question, LATER)
    assert market.head(AAPL, "TRADES", True, 1, LATER) == "20240105-14:30:00"


def test_other_contracts_are_invented_as_before(folder: Path, market: Market) -> None:
    recorded = Market.standard(recorded=folder)
    assert recorded.recorded == ("AAPL.NASDAQ",)
    question = request(EURUSD, "1 min", "1 D", what="MIDPOINT", rth=False)
    assert rows(recorded, question) == rows(market, question)


def test_a_recorded_bar_is_there_once_it_has_closed(folder: Path) -> None:
    market = Market.standard(recorded=folder)
    question = request(AAPL, "5 mins", "1 D")
    assert len(rows(market, question, ns("2024-01-05 09:39", NEW_YORK))) == 1
    assert len(rows(market, question, ns("2024-01-05 09:40", NEW_YORK))) == 2
    hour = request(AAPL, "1 hour", "1 D")
    assert prices(rows(market, hour, ns("2024-01-05 09:41", NEW_YORK))[0]) == ("181.99", "182.76", "181.5", "182", "1500")


def test_a_day_that_was_recorded_goes_before_one_made_of_minutes(folder: Path) -> None:
    (folder / "days.csv").write_text("timestamp,open,high,low,close,volume\n2024-01-05,181.00,183.00,180.00,182.00,62000000\n")
    description = folder / "recorded.yaml"
    description.write_text(description.read_text() + "  - {file: days.csv, instrument: AAPL.NASDAQ, bars: 1-DAY-LAST}\n")
    market = Market.standard(recorded=folder)
    for rth in (True, False):
        found = rows(market, request(AAPL, "1 day", "5 D", "20240109-00:00:00", rth=rth))
        assert [(row.date, *prices(row)) for row in found] == [("20240105", "181", "183", "180", "182", "62000000")]


def test_files_say_by_their_names_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "EURUSD.IDEALPRO-1-DAY-MID.csv").write_text("timestamp,open,high,low,close,volume\n2024-06-12,1.08,1.09,1.07,1.085,0\n")
    found = rows(Market.standard(recorded=tmp_path), request(EURUSD, "1 day", "5 D", "20240614-00:00:00", what="MIDPOINT", rth=False))
    assert [(row.date, *prices(row)) for row in found] == [("20240612", "1.08", "1.09", "1.07", "1.085", "-1")]


def test_what_a_file_does_not_say_is_asked_for_in_the_description(folder: Path) -> None:
    (folder / "recorded.yaml").unlink()
    with pytest.raises(MarketDataError, match=r"For the simulator, say so in .*recorded\.yaml: stamp, time_zone"):
        Market.standard(recorded=folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda folder: (folder / "recorded.yaml").write_text("series:\n  - {file: a.csv}\n"),
            r"recorded\.yaml, line 2: series\[0\]\.instrument: is missing",
        ),
        (
            lambda folder: (folder / "recorded.yaml").write_text("series:\n  - {file: a.csv, instrument: NONE.NYSE, bars: 1-DAY-LAST}\n"),
            "no contract of the simulator has the instrument id NONE.NYSE",
        ),
        (lambda folder: [file.unlink() for file in folder.iterdir()], "holds no recorded bars of a known contract"),
        (
            lambda folder: ((folder / "recorded.yaml").unlink(), (folder / "prices.csv").write_text("x")),
            r"prices\.csv does not say what it holds",
        ),
    ],
)
def test_a_folder_that_cannot_be_served_is_refused(folder: Path, change: Callable[[Path], object], says: str) -> None:
    change(folder)
    with pytest.raises(MarketDataError, match=says):
        Market.standard(recorded=folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no folder"):
        Market.standard(recorded=tmp_path / "none")


def test_a_catalog_is_served(tmp_path: Path) -> None:
    """The sample files, imported: 61 sessions of 390 minutes from 2024-01-02 to 2024-03-28."""
    samples = write_samples(tmp_path / "samples").folder
    catalog = Catalog.open(tmp_path / "catalog")
    series = Series.parse("MSFT.NASDAQ-1-MINUTE-LAST-EXTERNAL")
    with CsvSource([samples / "MSFT.NASDAQ-1-MINUTE-LAST.csv"], time_zone=NEW_YORK, stamp="open") as source:
        answers = source.open(series, partitions_of(series), PRECISION).answers()
        with catalog.writer(series, PRECISION, source.provenance) as writer:
            for answer in answers:
                writer.store(answer)
    market = Market.standard(recorded=catalog.root)
    found = rows(market, request(replace(AAPL, symbol="MSFT"), "1 min", "1 M", "20240131-21:00:00"))
    assert len(found) == 21 * 390
    table = catalog.read_session(series, dt.date(2024, 1, 31))
    assert [row.close for row in found[-390:]] == [Decimal(int(value)) / 100 for value in table.close]


# A trader's own files


@pytest.fixture(scope="module")
def real(market_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Market:
    """EUR/USD from IDEALPRO, 15 minutes and days."""
    folder = tmp_path_factory.mktemp("eurusd")
    for name in (MINUTES, DAYS):
        (folder / name).symlink_to(market_data / "ibkr-csv" / name)
    (folder / "recorded.yaml").write_text(REAL)
    return Market.standard(recorded=folder)


def file_rows(path: Path) -> list[tuple[str, tuple[Decimal, ...]]]:
    """Read a file without our code: its stamps, and open, high, low, close."""
    with path.open(newline="") as file:
        return [(row["timestamp"], tuple(Decimal(row[name]) for name in ("open", "high", "low", "close"))) for row in csv.DictReader(file)]


def test_every_recorded_quarter_of_an_hour_is_served(real: Market, market_data: Path) -> None:
    found = [
        row
        for end in ("20241231 17:00:00", "20251030 17:00:00")
        for row in rows(real, request(EURUSD, "15 mins", "1 Y", f"{end} US/Eastern", what="MIDPOINT", rth=False))
    ]
    served = {int(row.date): row.prices for row in found}
    expected = {int(dt.datetime.fromisoformat(stamp).timestamp()) - 900: values for stamp, values in file_rows(market_data / "ibkr-csv" / MINUTES)}
    first = min(served)
    wanted = {start: values for start, values in expected.items() if start >= first}
    assert first == ns("2024-01-01 19:00", NEW_YORK) // 10**9
    assert served == wanted
    assert len(expected) == 45_238


def test_recorded_days_and_hours_are_served(real: Market, market_data: Path) -> None:
    days = rows(real, request(EURUSD, "1 day", "1 Y", "20241231 17:00:00 US/Eastern", what="MIDPOINT", rth=False))
    expected = [(stamp[:10].replace("-", ""), values) for stamp, values in file_rows(market_data / "ibkr-csv" / DAYS) if stamp.startswith("2024")]
    assert [(row.date, row.prices) for row in days] == expected
    quarters = rows(real, request(EURUSD, "15 mins", "1 D", "20240614 17:00:00 US/Eastern", what="MIDPOINT", rth=False))
    hours = rows(real, request(EURUSD, "1 hour", "1 D", "20240614 17:00:00 US/Eastern", what="MIDPOINT", rth=False))
    assert len(hours) == 24
    assert [hours[0].prices, hours[1].prices] == [merged(quarters[:3]).prices, merged(quarters[3:7]).prices]
    assert stamps(real, request(EURUSD, "1 hour", "1 D", "20240614 17:00:00 US/Eastern", what="MIDPOINT", rth=False))[0] == ns(
        "2024-06-13 17:15", NEW_YORK
    )
