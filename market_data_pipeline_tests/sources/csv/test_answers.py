from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from market_data_pipeline.calendars import partitions_of
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage, Provenance, Quality, SessionAnswer
from market_data_pipeline.domain.errors import BadRows, DiskFull
from market_data_pipeline.domain.quality import HoleRule
from market_data_pipeline.domain.source import Asked, BarSource, Precision, RequestPlan, SessionFailure, SourceNews
from market_data_pipeline.sources.csv import CsvSource
from market_data_pipeline_tests.instants import NEW_YORK, dates, ns
from market_data_pipeline_tests.sources.csv.conftest import Read, written
from market_data_pipeline_tests.sources.csv.rows import HEADER, bar

AAPL = "AAPL.NASDAQ-1-MINUTE-LAST"
SERIES = Series.parse(f"{AAPL}-EXTERNAL")
HOUR_NS = 3_600 * 10**9


def minutes(date: str, first: str = "09:30", last: str = "15:59", every: int = 1, without: Iterable[str] = ()) -> str:
    """Return minute bars of a New York session, stamped at their open."""
    start, stop = (dt.datetime.fromisoformat(f"{date} {clock}") for clock in (first, last))
    clocks = [(start + dt.timedelta(minutes=i)) for i in range(0, int((stop - start).total_seconds()) // 60 + 1, every)]
    return "".join(bar(f"{clock:%Y-%m-%d %H:%M}") for clock in clocks if f"{clock:%H:%M}" not in without)


def told(answers: Iterable[SessionAnswer]) -> list[tuple[str, str, int]]:
    return [(str(a.session), str(a.coverage), len(a.bars)) for a in answers]


def test_a_session_of_every_minute_is_complete(read: Read) -> None:
    """2024-07-03 closed at 13:00: 210 minutes; 2024-07-04 was a holiday."""
    bars = read(HEADER + minutes("2024-07-02") + minutes("2024-07-03", last="12:59") + minutes("2024-07-05"), bars=AAPL, time_zone=NEW_YORK)
    assert bars.sessions == dates("2024-07-02 2024-07-03 2024-07-05")
    answers = list(bars.answers())
    assert told(answers) == [("2024-07-02", "complete", 390), ("2024-07-03", "complete", 210), ("2024-07-05", "complete", 390)]
    assert answers[1].quality == Quality(expected=210, regular=210, longest_absence_s=0)


def test_only_the_sessions_asked_for_are_answered(read: Read) -> None:
    bars = read(HEADER + minutes("2024-07-01") + minutes("2024-07-02") + minutes("2024-07-03", last="12:59"), bars=AAPL, time_zone=NEW_YORK)
    assert told(bars.answers(dates("2024-07-03 2024-06-28 2024-07-01"))) == [("2024-07-01", "complete", 390), ("2024-07-03", "complete", 210)]
    assert told(bars.answers([])) == []


def test_a_hole_makes_a_session_partial_unless_the_user_vouches_for_the_file(read: Read) -> None:
    """31 minutes absent in a series that trades every minute; 30 are still taken for thin trading."""
    hole = [f"11:{i:02}" for i in range(31)]
    text = HEADER + minutes("2024-07-01", without=hole) + minutes("2024-07-02", without=hole[:30])
    assert told(read(text, bars=AAPL, time_zone=NEW_YORK).answers()) == [("2024-07-01", "partial", 359), ("2024-07-02", "complete", 360)]
    assert [a.coverage for a in read(text, bars=AAPL, time_zone=NEW_YORK, accept_holes=True).answers()] == [Coverage.COMPLETE] * 2


def test_a_thin_series_is_measured_by_itself(read: Read) -> None:
    """A bar every 5 minutes (and an extra one, so that it is no 5-minute series): usually 4 minutes absent, so 30 times that may be."""
    hole = [f"{hour}:{i:02}" for hour in (11, 12) for i in range(60)]
    thin = minutes("2024-07-01", every=5) + bar("2024-07-01 10:01")
    bars = read(HEADER + thin + minutes("2024-07-02", every=5, without=hole[:-10]), bars=AAPL, time_zone=NEW_YORK)
    assert bars.longest_absence_allowed_s == 30 * 240
    assert [(str(a.coverage), a.quality.longest_absence_s) for a in bars.answers()] == [("complete", 240), ("complete", 114 * 60)]
    strict = read(HEADER + thin, bars=AAPL, time_zone=NEW_YORK, hole_rule=HoleRule(times_usual=0.5, at_least_s=60, at_least_bars=1))
    assert [str(a.coverage) for a in strict.answers()] == ["partial"]


def test_extended_hours_do_not_count_as_usual(read: Read) -> None:
    """Three bars before the open, half an hour apart: regular hours are what the usual absence is taken from."""
    early = bar("2024-07-01 08:00") + bar("2024-07-01 08:30") + bar("2024-07-01 09:00")
    bars = read(HEADER + early + minutes("2024-07-01"), bars=AAPL, time_zone=NEW_YORK)
    assert bars.longest_absence_allowed_s == 1_800


@pytest.mark.parametrize("accept_holes", [False, True])
def test_a_session_that_is_still_trading_is_partial(read: Read, accept_holes: bool) -> None:
    """The session of 2024-07-02 ends with post-market hours at 20:00 New York."""
    text = HEADER + minutes("2024-07-01") + minutes("2024-07-02")
    for now, coverage in ((ns("2024-07-02 19:59", NEW_YORK), "partial"), (ns("2024-07-02 20:00", NEW_YORK), "complete")):
        bars = read(text, bars=AAPL, time_zone=NEW_YORK, now=now, accept_holes=accept_holes)
        assert told(bars.answers()) == [("2024-07-01", "complete", 390), ("2024-07-02", coverage, 390)]


def test_bars_while_the_venue_is_shut_are_kept_and_told(read: Read) -> None:
    """Saturday 12:00 and Monday 03:59 to 04:00 lie before Monday's pre-market hours; 04:00 to 04:01 in them."""
    text = HEADER + bar("2024-07-06 12:00") + bar("2024-07-08 03:59") + bar("2024-07-08 04:00") + minutes("2024-07-08")
    bars = read(text, bars=AAPL, time_zone=NEW_YORK)
    assert told(bars.answers()) == [("2024-07-08", "complete", 393)]
    (warning,) = bars.warnings
    assert warning.startswith(
        "2 bars close while NYSE is shut (the first at 2024-07-06T16:01:00 UTC). They are stored with the session that follows."
    )


def test_bars_are_whole_tables_inside_their_windows(read: Read) -> None:
    bars = read(HEADER + bar("2024-07-01 09:30", "185.42", "7") + bar("2024-07-01 19:59") + bar("2024-07-01 20:00"), bars=AAPL, time_zone=NEW_YORK)
    first, second = bars.answers()
    assert (first.session, second.session) == (dt.date(2024, 7, 1), dt.date(2024, 7, 2))
    assert first.bars.close.tolist() == [18542, 1000]
    assert (first.bars.price_precision, first.bars.size_precision) == (2, 0)
    assert first.bars.ts_event.tolist() == [ns("2024-07-01 09:30", NEW_YORK), ns("2024-07-01 19:59", NEW_YORK)]
    assert first.bars.ts_init.tolist() == [ns("2024-07-01 09:31", NEW_YORK), ns("2024-07-01 20:00", NEW_YORK)]


def asked(*sessions: str) -> Asked:
    return Asked(SERIES, partitions_of(SERIES), Precision(2, 0), dates(" ".join(sessions)))


def test_a_csv_source_answers_what_ingest_asks(tmp_path: Path) -> None:
    path = written(tmp_path / "AAPL.csv", HEADER + minutes("2024-07-01") + minutes("2024-07-03", last="12:59"))
    with CsvSource([path], time_zone=NEW_YORK, stamp="open", convention=Convention(hours="rth")) as source:
        fulfils: BarSource = source
        assert fulfils.provenance == Provenance("csv", "AAPL.csv", Convention(hours="rth", adjustment="raw"))
        answers = list(fulfils.fetch(asked("2024-07-03", "2024-07-01", "2024-07-02", "2024-07-05")))
        path.unlink()  # once it was read, it is not read again
        again = list(fulfils.fetch(asked("2024-07-01", "2024-07-02")))
    assert told(a for a in answers if isinstance(a, SessionAnswer)) == [("2024-07-01", "complete", 390), ("2024-07-03", "complete", 210)]
    assert [a for a in answers if isinstance(a, SessionFailure)] == [
        SessionFailure(dt.date(2024, 7, 2), "AAPL.csv has no bars for 2024-07-02 (it holds 2024-07-01 to 2024-07-03)."),
        SessionFailure(dt.date(2024, 7, 5), "AAPL.csv has no bars for 2024-07-05 (it holds 2024-07-01 to 2024-07-03)."),
    ]
    assert [a.session for a in answers if not isinstance(a, SourceNews)] == dates("2024-07-01 2024-07-02 2024-07-03 2024-07-05")
    assert told(a for a in again if isinstance(a, SessionAnswer)) == [("2024-07-01", "complete", 390)]


def test_bars_of_a_closed_source_say_so(tmp_path: Path) -> None:
    path = written(tmp_path / "AAPL.csv", HEADER + minutes("2024-07-01"))
    with CsvSource([path], time_zone=NEW_YORK, stamp="open") as source:
        bars = source.open(SERIES, partitions_of(SERIES), Precision(2, 0))
    with pytest.raises(ValueError, match="was closed"):
        next(bars.answers())


def test_a_plan_tells_files_and_time(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{i}.csv", "x" * 5_000_000) for i in range(2)]
    assert CsvSource(paths).plan(asked("2024-07-01", "2024-07-02")) == RequestPlan(requests=2, seconds=0.4, sessions=2)


def test_many_files_are_told_by_the_first_and_the_last(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{i}.csv", HEADER + minutes("2024-07-01")) for i in range(4)]
    assert CsvSource(paths).provenance.asked == "0.csv … 3.csv (4 files)"
    assert CsvSource(paths[:3]).provenance.asked == "0.csv, 1.csv, 2.csv"


def test_progress_runs_to_the_end_of_all_files(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{date}.csv", HEADER + minutes(date)) for date in ("2024-07-01", "2024-07-02")]
    seen: list[tuple[int, int]] = []
    with CsvSource(paths, time_zone=NEW_YORK, stamp="open", progress=lambda done, total: seen.append((done, total))) as source:
        source.open(SERIES, partitions_of(SERIES), Precision(2, 0))
    total = sum(path.stat().st_size for path in paths)
    assert seen[0] == (total // 2, total)
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)


def test_the_spool_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its files have no name from the start, so that even a kill leaves none."""
    spool = tmp_path / "spool"
    good = written(tmp_path / "good.csv", HEADER + minutes("2024-07-01"))
    bad = written(tmp_path / "bad.csv", HEADER + bar("2024-07-01 09:30", "-1"))
    before = open_files()
    with CsvSource([good], time_zone=NEW_YORK, stamp="open", spool_dir=spool) as source:
        opened = source.open(SERIES, partitions_of(SERIES), Precision(2, 0))
        assert len(list(opened.answers())) == 1
        assert list(spool.iterdir()) == []
    with CsvSource([bad], time_zone=NEW_YORK, stamp="open", spool_dir=spool) as source, pytest.raises(BadRows):
        source.open(SERIES, partitions_of(SERIES), Precision(2, 0))
    assert list(spool.iterdir()) == []
    assert open_files() == before


def open_files() -> int:
    """Return the number of files this process has open, where the system tells."""
    told_by_linux = Path("/proc/self/fd")
    return len(list(told_by_linux.iterdir())) if told_by_linux.is_dir() else 0


def test_ctrl_c_in_the_middle_frees_the_spool(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    spool = tmp_path / "spool"
    path = written(tmp_path / "AAPL.csv", HEADER + minutes("2024-07-01"))
    with CsvSource([path], time_zone=NEW_YORK, stamp="open", spool_dir=spool, progress=interrupt) as source, pytest.raises(KeyboardInterrupt):
        source.open(SERIES, partitions_of(SERIES), Precision(2, 0))
    assert list(spool.iterdir()) == []


def test_too_little_room_is_told_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "AAPL.csv", HEADER + minutes("2024-07-01"))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    seen: list[int] = []
    source = CsvSource([path], time_zone=NEW_YORK, stamp="open", spool_dir=tmp_path / "spool", progress=lambda done, total: seen.append(done))
    with source, pytest.raises(DiskFull, match=r"takes about 17 MB of temporary room in .*spool, and 1 MB are free. Nothing was written. Make room"):
        source.open(SERIES, partitions_of(SERIES), Precision(2, 0))
    assert seen == []
