"""Filling sessions from a source: only what is not there, and never at the price of what is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.coverage import Provenance, SessionAnswer
from market_data_pipeline.domain.errors import InvalidDate, SourceUnavailable
from market_data_pipeline.domain.source import Asked, RequestPlan, SessionFailure
from market_data_pipeline.ingest.load import LoadEvent, LoadReport, Planned, Refetch, Stored, load
from market_data_pipeline_tests.catalog.bar_making import (
    AAPL,
    CENTS,
    FRIDAY,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    WEEK,
    answer,
    empty,
    morning,
    regular,
    store,
    what_stands,
)


class Told:
    """A source that answers what it was told to, and remembers what it was asked."""

    provenance = Provenance("told", "by the test")

    def __init__(self, *answers: SessionAnswer | SessionFailure, then: Exception | None = None) -> None:
        self._answers = {one.session: one for one in answers}
        self._then = then
        self.asked: list[list[dt.date]] = []

    def plan(self, asked: Asked) -> RequestPlan:
        return RequestPlan(requests=1, seconds=0.0, sessions=len(asked.sessions))

    def fetch(self, asked: Asked) -> Iterator[SessionAnswer | SessionFailure]:
        self.asked.append([*asked.sessions])
        yield from (self._answers[date] for date in asked.sessions if date in self._answers)
        if self._then is not None:
            raise self._then


def run(catalog: Catalog, source: Told, sessions: Sequence[dt.date], refetch: Refetch = Refetch.NO) -> tuple[list[LoadEvent], LoadReport]:
    events: list[LoadEvent] = []
    work = load(catalog, source, AAPL, CENTS, sessions, refetch=refetch)
    while True:
        try:
            events.append(next(work))
        except StopIteration as done:
            return events, done.value


def whole(*dates: dt.date) -> list[SessionAnswer]:
    return [answer(AAPL, date) for date in dates]


def test_a_week_is_fetched_once(catalog: Catalog) -> None:
    source = Told(*whole(*WEEK))
    events, report = run(catalog, source, WEEK)
    assert (report.asked, report.cached_before, report.gaps_analyzed, report.requests_made) == (5, 0, 1, 1)
    assert (report.segments_fetched, report.fetched_bars, report.failed_segments) == (5, 1950, ())
    assert [(event.row.session, event.done, event.of) for event in events if isinstance(event, Stored)] == [
        (date, n, 5) for n, date in enumerate(WEEK, 1)
    ]
    assert {row.source for row in catalog.sessions(AAPL)} == {"told"}
    again = Told()
    events, report = run(catalog, again, WEEK)
    assert (report.cached_before, report.requests_made, report.fetched_bars, report.gaps_analyzed) == (5, 0, 0, 0)
    assert again.asked == []
    (planned,) = events
    assert isinstance(planned, Planned)
    assert [row.session for row in planned.cached] == WEEK


def test_only_gaps_are_asked_for(catalog: Catalog) -> None:
    """Tuesday is stored whole, Thursday is known to be empty; Wednesday is there in part."""
    store(catalog, answer(AAPL, TUESDAY), morning(AAPL, WEDNESDAY), empty(AAPL, THURSDAY))
    source = Told(*whole(*WEEK))
    _, report = run(catalog, source, [*WEEK, MONDAY])
    assert source.asked == [[MONDAY, WEDNESDAY, FRIDAY]]
    assert (report.asked, report.cached_before, report.gaps_analyzed, report.segments_fetched) == (5, 2, 3, 3)


def test_the_report_tells_what_is_whole_partial_and_without_bars(catalog: Catalog) -> None:
    """Monday is known to be empty, Tuesday turns out to be; Wednesday comes in part."""
    store(catalog, empty(AAPL, MONDAY))
    _, report = run(catalog, Told(empty(AAPL, TUESDAY), morning(AAPL, WEDNESDAY), answer(AAPL, THURSDAY)), [MONDAY, TUESDAY, WEDNESDAY, THURSDAY])
    assert (report.whole, report.partial, report.empty) == (3, (WEDNESDAY,), (MONDAY, TUESDAY))


def test_what_is_stored_is_asked_for_again_on_demand(week: Catalog) -> None:
    source = Told(*(answer(AAPL, date, seed=1) for date in WEEK))
    _, report = run(week, source, [MONDAY, TUESDAY], Refetch.YES)
    assert source.asked == [[MONDAY, TUESDAY]]
    assert (report.cached_before, report.fetched_bars) == (0, 780)
    assert week.read_session(AAPL, MONDAY).fingerprint() == regular(AAPL, MONDAY, seed=1).fingerprint()


def test_a_failed_session_does_not_stop_the_others(catalog: Catalog) -> None:
    failure = SessionFailure(TUESDAY, "no market data permissions")
    broken = answer(AAPL, WEDNESDAY, regular(AAPL, THURSDAY))
    events, report = run(catalog, Told(*whole(MONDAY, THURSDAY), failure, broken), WEEK)
    assert [one.session for one in report.failed_segments] == [TUESDAY, WEDNESDAY, FRIDAY]
    assert report.failed_segments[0] is failure
    assert "bars outside the session's window" in report.failed_segments[1].reason
    assert report.failed_segments[2].reason == "the source said nothing about it"
    assert [event for event in events if isinstance(event, SessionFailure)] == [*report.failed_segments]
    assert [row.session for row in catalog.sessions(AAPL)] == [MONDAY, THURSDAY]
    _, report = run(catalog, Told(*whole(*WEEK)), WEEK)
    assert (report.cached_before, report.segments_fetched) == (2, 3)


def test_a_source_that_breaks_off_leaves_what_it_gave(catalog: Catalog) -> None:
    with pytest.raises(SourceUnavailable):
        run(catalog, Told(*whole(MONDAY, TUESDAY), then=SourceUnavailable("gone")), WEEK)
    assert [row.session for row in catalog.sessions(AAPL)] == [MONDAY, TUESDAY]


@pytest.mark.parametrize("less", [empty(AAPL, MONDAY), morning(AAPL, MONDAY)])
def test_an_answer_that_says_less_does_not_replace_what_is_stored(week: Catalog, less: SessionAnswer) -> None:
    """`HMDS query returned no data` can be transient (FACTS 4)."""
    before = what_stands(week)
    _, report = run(week, Told(less), [MONDAY], Refetch.YES)
    assert "390 are stored; those were kept" in report.failed_segments[0].reason
    assert what_stands(week) == before


def test_a_partial_session_grows(catalog: Catalog) -> None:
    for bars in (50, 120, 120, 390):
        run(catalog, Told(morning(AAPL, MONDAY, bars) if bars < 390 else answer(AAPL, MONDAY)), [MONDAY])
        assert len(catalog.read_session(AAPL, MONDAY)) == bars


def test_a_stopped_load_keeps_whole_sessions(catalog: Catalog) -> None:
    work = load(catalog, Told(*whole(*WEEK)), AAPL, CENTS, WEEK)
    for _ in range(3):
        next(work)
    work.close()
    assert [row.session for row in catalog.sessions(AAPL)] == [MONDAY, TUESDAY]


def test_the_future_and_closed_days_are_refused(catalog: Catalog) -> None:
    source = Told()
    year = dt.datetime.now(dt.UTC).year + 1
    monday = next(date for date in (dt.date(year, 6, day) for day in range(1, 8)) if date.weekday() == 0)
    with pytest.raises(InvalidDate, match=rf"The session {monday} of AAPL.* lies in the future. The last one that has ended is \d"):
        run(catalog, source, [MONDAY, monday])
    with pytest.raises(InvalidDate, match="2024-02-10 is no 1-MINUTE-LAST session of NYSE"):
        run(catalog, source, [dt.date(2024, 2, 10)])
    assert source.asked == []
    assert not catalog.root.exists()


def test_bad_files_found_on_the_way_are_told_and_fetched_again(week: Catalog) -> None:
    from market_data_pipeline_tests.catalog.bar_making import files_of

    files_of(week)[1].write_bytes(b"torn")
    source = Told(*whole(*WEEK))
    _, report = run(week, source, WEEK)
    assert source.asked == [[TUESDAY]]
    assert len(report.quarantined) == 1
    assert "not a readable Parquet file" in report.quarantined[0]


def test_a_session_that_is_over_here_and_not_yet_begun_at_the_source_is_told(catalog: Catalog) -> None:
    """A gateway whose clock is behind, or simulated, answers nothing of it; a run that passed this over would call itself complete."""
    _, report = run(catalog, Told(answer(AAPL, MONDAY), morning(AAPL, TUESDAY, bars=0)), [MONDAY, TUESDAY])
    assert [str(failure.session) for failure in report.failed_segments] == [str(TUESDAY)]
    assert "set the clock that is wrong" in report.failed_segments[0].reason
