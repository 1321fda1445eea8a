"""How the values of a foreign catalog are understood when it is adopted: decimals, stamps, dates, rules, conventions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.bar_types import DAY_NS, Series
from market_data_pipeline.domain.coverage import Convention, Provenance
from market_data_pipeline.domain.source import Precision
from market_data_pipeline.ingest.adopt_report import Kept
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.sources.nautilus.stamps import StampEnd
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    EURUSD,
    MINUTE,
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    all_bars,
    answer,
    coverages,
    nautilus_reads,
    regular,
)
from market_data_pipeline_tests.ingest.adopting import DAYS, days, only, parts, run, week
from market_data_pipeline_tests.sources.nautilus.foreign import by_nautilus, equity, restamped, to_eight_bytes, with_close


def test_eight_byte_prices_and_an_old_file_name_are_read(catalog: Catalog, old: Path) -> None:
    to_eight_bytes(by_nautilus(old, regular(EURUSD, MONDAY, precision=Precision(5, 2)), EURUSD, "part-0.parquet"))
    report = run(catalog, old)
    assert (only(report).price_bytes, only(report).series) == ((8,), EURUSD)
    assert all_bars(catalog, EURUSD).fingerprint() == regular(EURUSD, MONDAY, precision=Precision(5, 2)).fingerprint()
    assert nautilus_reads(catalog.root) == (95, 95, True)


def with_two_more_decimals(bars: BarTable) -> BarTable:
    """Return bars of cents as bars of hundredths of a cent."""
    return replace(bars, open=bars.open * 100, high=bars.high * 100, low=bars.low * 100, close=bars.close * 100, price_precision=4)


def test_precisions_that_differ_become_the_highest(catalog: Catalog, old: Path) -> None:
    fine = regular(AAPL, TUESDAY)
    fine = with_two_more_decimals(fine)
    by_nautilus(old, regular(AAPL, MONDAY))
    by_nautilus(old, with_close(fine, 0, int(fine.close[0]) + 1))
    one = only(run(catalog, old))
    assert (one.precision, one.written) == (Precision(4, 0), 780)
    assert int(catalog.read_session(AAPL, MONDAY).close[0]) == int(regular(AAPL, MONDAY).close[0]) * 100


def test_the_decimals_of_the_instrument_are_taken_where_every_value_is_exact_in_them(catalog: Catalog, old: Path) -> None:
    padded = regular(AAPL, MONDAY)
    padded = with_two_more_decimals(padded)
    by_nautilus(old, padded)
    equity(old)
    report = run(catalog, old)
    assert only(report).precision == Precision(2, 0)
    assert all_bars(catalog).fingerprint() == regular(AAPL, MONDAY).fingerprint()
    assert report.instruments[0].what is Kept.STORED


def test_an_instrument_whose_decimals_do_not_hold_its_bars_is_refused(catalog: Catalog, old: Path) -> None:
    fine = replace(regular(AAPL, MONDAY), price_precision=4)
    by_nautilus(old, fine)
    equity(old)
    report = run(catalog, old)
    assert [(one.what, one.instrument_id) for one in report.instruments] == [(Kept.MISSING, "AAPL.NASDAQ"), (Kept.REFUSED, "AAPL.NASDAQ")]
    assert catalog.instruments.ids() == []


@pytest.mark.parametrize(
    ("move", "end"),
    [((0, -MINUTE), "open"), ((MINUTE, 0), "close"), ((0, 7_000_000_000), "open"), ((0, -1), "nanosecond")],
    ids=["both the open", "both the close", "arrival", "one nanosecond early"],
)
def test_other_stamps_are_understood_by_evidence(catalog: Catalog, old: Path, move: tuple[int, int], end: str) -> None:
    restamped(by_nautilus(old, week()), *move)
    one = only(run(catalog, old))
    assert (one.written, one.restamped) == (1950, 1950)
    assert end in one.notes[0]
    assert all_bars(catalog).fingerprint() == week().fingerprint()


def test_stamps_that_nothing_decides_are_refused_until_somebody_says(catalog: Catalog, old: Path) -> None:
    """An hour in the middle of one day meets neither an opening nor a closing."""
    noon = regular(AAPL, MONDAY).slice(150, 210)
    restamped(by_nautilus(old, noon), 0, -MINUTE)
    one = only(run(catalog, old))
    assert parts(one) == {"rows that break a rule": 60}
    assert "--stamp open or --stamp close" in one.left_out[0].reason
    assert parts(only(run(catalog, old, stamp=StampEnd.OPEN))) == {"written": 60}
    assert all_bars(catalog).fingerprint() == noon.fingerprint()


@pytest.mark.parametrize(
    ("event", "init"),
    [(0, 1), (DAY_NS, 1), (21 * 3_600 * 10**9, 21 * 3_600 * 10**9 - DAY_NS + 1), (0, -DAY_NS + 1)],
    ids=["midnight to midnight", "both the next midnight", "both 16:00 New York", "both midnight of the date"],
)
def test_day_bars_are_dated_by_evidence(catalog: Catalog, old: Path, event: int, init: int) -> None:
    restamped(by_nautilus(old, days(), DAYS), event, init)
    one = only(run(catalog, old))
    assert (one.written, one.restamped) == (20, 20), one.left_out
    assert all_bars(catalog, DAYS).fingerprint() == days().fingerprint()


def test_day_bars_that_could_be_of_two_dates_are_refused(catalog: Catalog, old: Path) -> None:
    """Stamps at midnight of Wednesday and Thursday: days of those dates, or of the days that ended then."""
    restamped(by_nautilus(old, days().slice(1, 3), DAYS), 0, -DAY_NS + 1)
    assert parts(only(run(catalog, old))) == {"rows that break a rule": 2}


def test_rows_that_break_a_rule_are_named_and_their_session_is_not_whole(catalog: Catalog, old: Path) -> None:
    """A bar whose close lies above its high, and day bars of a Saturday."""
    bars = week()
    closes = bars.close.copy()
    closes[400] = int(bars.high[400]) + 5
    by_nautilus(old, bars)
    (file,) = old.rglob("*.parquet")
    table = pq.read_table(file)
    raw = [(int(value) * 10**14).to_bytes(16, "little") for value in closes]
    pq.write_table(table.set_column(3, table.schema.field(3), pa.array(raw, type=pa.binary(16))), file)
    saturday = days().slice(0, 2)
    shifted = replace(saturday, ts_event=saturday.ts_event + 4 * DAY_NS, ts_init=saturday.ts_init + 4 * DAY_NS)  # 6 and 7 January 2024
    by_nautilus(old, BarTable.concatenate([days().slice(0, 4), shifted]), DAYS)
    report = run(catalog, old)
    minutes, daily = sorted(report.series, key=lambda one: one.title, reverse=True)
    if minutes.series == DAYS:
        minutes, daily = daily, minutes
    assert parts(minutes) == {"written": 1949, "rows that break a rule": 1}
    assert minutes.partial_sessions == (TUESDAY,)
    assert parts(daily) == {"written": 4, "rows that break a rule": 2}
    assert "no session of the NYSE calendar" in daily.left_out[0].reason


def test_series_that_cannot_be_stored_are_told_with_their_rows(catalog: Catalog, old: Path) -> None:
    by_nautilus(old, regular(AAPL, MONDAY), Series.parse("AAPL.NASDAQ-1-MINUTE-LAST-EXTERNAL"))
    (file,) = old.rglob("*.parquet")
    table = pq.read_table(file)
    strange = "AAPL.NOWHERE-1-MINUTE-LAST-EXTERNAL"
    target = old / "data" / "bar" / strange
    target.mkdir()
    metadata = {**table.schema.metadata, b"bar_type": strange.encode(), b"instrument_id": b"AAPL.NOWHERE"}
    pq.write_table(table.replace_schema_metadata(metadata), target / file.name)
    (old / "data" / "quote_tick" / "AAPL.NASDAQ").mkdir(parents=True)
    (old / "data" / "quote_tick" / "AAPL.NASDAQ" / "ticks.parquet").write_bytes(b"x")
    report = run(catalog, old)
    other = next(one for one in report.series if one.series is None)
    assert "No trading calendar is known for the venue 'NOWHERE'" in (other.failed or "")
    assert parts(other) == {"rows in bad files": 390}
    assert [(one.where, one.files) for one in report.not_adopted] == [("data/quote_tick", 1)]
    assert report.failed
    assert len(all_bars(catalog)) == 390


def test_holes_are_partial_and_absent_sessions_missing(catalog: Catalog, old: Path) -> None:
    """Monday without 10:30 to 11:30, and no Tuesday."""
    monday = regular(AAPL, MONDAY)
    by_nautilus(old, BarTable.concatenate([monday.slice(0, 60), monday.slice(120, 390), regular(AAPL, WEDNESDAY)]))
    one = only(run(catalog, old))
    assert (one.complete, one.partial_sessions, [str(gap) for gap in one.missing]) == (1, (MONDAY,), ["2024-02-06 (1 session)"])
    assert coverages(catalog) == [("2024-02-05", "partial", 330), ("2024-02-07", "complete", 390)]


def test_wrong_instruments_are_refused_with_the_reason(catalog: Catalog, old: Path) -> None:
    for instrument_id in ("EUR-USD.IDEALPRO", "SPY.SMART", "AAPL.NASDAQ"):
        equity(old, instrument_id)
    broken = old / "data" / "equity" / "MSFT.NASDAQ"
    broken.mkdir()
    (broken / "definition.parquet").write_bytes(b"PAR1 and nothing more")
    by_nautilus(old, week())
    report = run(catalog, old)
    said = {one.instrument_id: (one.what, one.why) for one in report.instruments}
    assert said["EUR-USD.IDEALPRO"][0] is Kept.REFUSED
    assert "the pair is EUR/USD.IDEALPRO" in said["EUR-USD.IDEALPRO"][1]
    assert said["SPY.SMART"][0] is Kept.REFUSED
    assert "no exchange" in said["SPY.SMART"][1]
    assert said["MSFT.NASDAQ"][0] is Kept.REFUSED
    assert catalog.instruments.ids() == ["AAPL.NASDAQ"]


def test_bars_of_regular_hours_are_noticed_and_stored_as_such_if_somebody_says(catalog: Catalog, old: Path) -> None:
    by_nautilus(old, week())
    told = only(run(catalog, old, run=Run.DRY))
    assert "adopt it with --hours rth" in told.notes[0]
    assert only(run(catalog, old, hours="rth")).notes == ()
    assert catalog.convention(AAPL) == Convention("rth", "raw")


def test_our_own_catalog_keeps_its_convention(catalog: Catalog, tmp_path: Path) -> None:
    ours = Catalog.open(tmp_path / "ours")
    with ours.writer(AAPL, Precision(2, 0), Provenance("test", "by hand", Convention("rth", "split"))) as writer:
        writer.store(answer(AAPL, MONDAY))
    assert parts(only(run(catalog, ours.root))) == {"written": 390}
    assert catalog.convention(AAPL) == Convention("rth", "split")
