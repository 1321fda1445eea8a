"""Loading from a gateway in a process of its own: what is asked for, under which convention, and what is left when it goes away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.coverage import Convention, Coverage
from market_data_pipeline.domain.errors import ConflictingBars, PrecisionMismatch, SourceRefused, SourceUnavailable, UnknownVenue
from market_data_pipeline.ingest.from_broker import BrokerEvent, Order, Outcome, Prepared, load_from_broker, open_series, prepare
from market_data_pipeline.ingest.import_csv import Run
from market_data_pipeline.ingest.load import Planned, Stored
from market_data_pipeline.ingest.modes import Mode, Reach
from market_data_pipeline.sources.ibkr import Hours, IbkrGateway, IbkrSettings
from market_data_pipeline_tests.catalog.bar_making import answer, store
from market_data_pipeline_tests.gateway import RunningGateway, start_gateway

AAPL = Series.of("AAPL.NASDAQ", "1-DAY-LAST")
PAIR = Series.of("EUR/USD.IDEALPRO", "1-HOUR-MID")
WEEK = Reach(Mode.FULL, dt.date(2024, 1, 8), dt.date(2024, 1, 12))
_HASTE = "small_bars: {same_contract: 100000, same_contract_s: 0.01, identical_s: 0.01}\nmessages_s: 0.01\ndelay_s: 0.01\ndelay_share: 0\n"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with start_gateway(tmp_path_factory.mktemp("gateway"), "--no-pacing") as running:
        yield running


def settings_of(folder: Path, port: int) -> IbkrSettings:
    pacing = folder / "haste.yaml"
    pacing.write_text(_HASTE)
    return IbkrSettings(
        port=port,
        pacing=str(pacing),
        pacing_db=str(folder / "pacing.sqlite"),
        state=folder / "state",
        wait_scale=0,
        reconnect_s=0,
        connect_timeout_s=2,
    )


@pytest.fixture
def gateway(simulator: RunningGateway, tmp_path: Path) -> Iterator[IbkrGateway]:
    with IbkrGateway(settings_of(tmp_path, simulator.port)) as one:
        yield one


def run(catalog: Catalog, gateway: IbkrGateway, orders: Sequence[Order]) -> tuple[list[tuple[Series, BrokerEvent]], tuple[Outcome, ...]]:
    events: list[tuple[Series, BrokerEvent]] = []
    work = load_from_broker(catalog, gateway, orders)
    while True:
        try:
            events.append(next(work))
        except StopIteration as done:
            return events, done.value


def test_every_plan_is_told_before_the_first_request(catalog: Catalog, gateway: IbkrGateway) -> None:
    """The week from 2024-01-08 has five sessions; a currency session has 24 hours but for fifteen minutes, so 24 bars."""
    events, outcomes = run(catalog, gateway, [Order(AAPL, WEEK), Order(PAIR, WEEK)])
    kinds = [type(event) for _, event in events if not isinstance(event, Stored)]
    assert kinds[:2] == [Prepared, Prepared]
    assert Planned in kinds[2:]
    assert [outcome.report.fetched_bars for outcome in outcomes if outcome.report is not None] == [5, 5 * 24]
    assert not any(outcome.failed for outcome in outcomes)


def test_stocks_are_asked_for_in_regular_hours_others_whole_and_what_is_simulated_is_kept_as_that(catalog: Catalog, gateway: IbkrGateway) -> None:
    run(catalog, gateway, [Order(AAPL, WEEK), Order(PAIR, WEEK)])
    assert (catalog.convention(AAPL), catalog.convention(PAIR)) == (Convention("rth", "simulated"), Convention("all", "simulated"))
    assert catalog.sessions(AAPL)[0].asked.startswith("SIMULATED TRADES of AAPL.NASDAQ")
    assert {row.source for row in catalog.sessions(AAPL)} == {"ibkr"}


def test_hours_of_the_stored_series_win_and_a_clash_is_an_error(catalog: Catalog, gateway: IbkrGateway) -> None:
    run(catalog, gateway, [Order(AAPL, WEEK, Hours.ALL)])
    assert open_series(catalog, gateway, AAPL).source.hours is Hours.ALL
    with pytest.raises(ConflictingBars, match="is stored with all hours, and rth hours are asked for"):
        open_series(catalog, gateway, AAPL, Hours.RTH)


def test_the_stored_definition_wins_and_bars_of_other_decimals_are_refused(catalog: Catalog, gateway: IbkrGateway) -> None:
    """The gateway's EUR/USD has five decimals."""
    other = Series.of("EUR/USD.IDEALPRO", "1-MINUTE-MID")
    store(catalog, answer(other, dt.date(2024, 1, 9)), series=other)
    with pytest.raises(PrecisionMismatch, match="the definition that Interactive Brokers gives has 5"):
        open_series(catalog, gateway, PAIR)
    assert catalog.instruments.ids() == []


def test_the_definition_is_stored_before_the_first_bar_but_not_on_a_dry_run(catalog: Catalog, gateway: IbkrGateway) -> None:
    prepared = prepare(catalog, gateway, Order(AAPL, WEEK), run=Run.DRY)
    assert (prepared.instrument.change, len(prepared.missing), prepared.plan.requests) == (None, 5, 1)
    assert not catalog.root.exists()
    prepare(catalog, gateway, Order(AAPL, WEEK))
    assert catalog.instruments.ids() == ["AAPL.NASDAQ"]
    assert catalog.series() == []


def test_a_venue_that_nobody_knows_is_told_before_the_broker_is_asked(catalog: Catalog, tmp_path: Path) -> None:
    with IbkrGateway(settings_of(tmp_path, 1)) as nobody, pytest.raises(UnknownVenue):
        open_series(catalog, nobody, Series.of("AAPL.NOWHERE", "1-DAY-LAST"))


def test_nobody_is_asked_where_nothing_is_missing(catalog: Catalog, gateway: IbkrGateway, tmp_path: Path) -> None:
    run(catalog, gateway, [Order(AAPL, WEEK)])
    with IbkrGateway(settings_of(tmp_path, 1)) as nobody:
        _, (outcome,) = run(catalog, nobody, [Order(AAPL, WEEK)])
        assert outcome.report is not None
        assert (outcome.report.cached_before, outcome.report.requests_made) == (5, 0)
        with pytest.raises(SourceUnavailable):
            run(catalog, nobody, [Order(AAPL, Reach(Mode.TAIL))])


def test_a_gateway_that_goes_away_stops_what_is_left_and_keeps_what_is_stored(catalog: Catalog, tmp_path: Path) -> None:
    minutes = Series.of("AAPL.NASDAQ", "1-MINUTE-LAST")
    with start_gateway(tmp_path / "gateway", "--no-pacing") as running, IbkrGateway(settings_of(tmp_path, running.port)) as gateway:
        work = load_from_broker(catalog, gateway, [Order(minutes, WEEK), Order(PAIR, WEEK)])
        errors: list[BrokerEvent] = []
        while True:
            try:
                series, event = next(work)
            except StopIteration as done:
                outcomes: tuple[Outcome, ...] = done.value
                break
            if isinstance(event, Planned):
                running.process.kill()
                running.process.wait()
            if isinstance(event, Exception):
                errors.append(event)
                assert series == minutes
    assert [type(outcome.error) for outcome in outcomes] == [SourceUnavailable, SourceUnavailable]
    assert len(errors) == 1  # told once, not for each series
    assert catalog.availability(PAIR) is None


@pytest.mark.parametrize("accounts", [("DUSIM12345", "U7654321"), ("DU7654321", "DUSIM12345")], ids=["real after simulated", "simulated after real"])
def test_invented_prices_never_stand_beside_real_ones(catalog: Catalog, tmp_path: Path, accounts: tuple[str, str]) -> None:
    """A paper account's number begins with DU, a live one's with U; only the simulator's own begin with DUSIM."""
    errors = []
    for number, account in enumerate(accounts):
        (folder := tmp_path / str(number)).mkdir()
        with (
            start_gateway(folder / "gateway", "--no-pacing", "--account", account) as running,
            IbkrGateway(settings_of(folder, running.port)) as gateway,
        ):
            week = Reach(Mode.FULL, dt.date(2024, 1, 8 + 7 * number), dt.date(2024, 1, 12 + 7 * number))
            _, outcomes = run(catalog, gateway, [Order(PAIR, week)])
            errors += [outcome.error for outcome in outcomes]
    assert errors[0] is None
    assert isinstance(errors[1], SourceRefused)
    assert "they are never mixed" in str(errors[1])
    available = catalog.availability(PAIR)
    assert available is not None
    assert (available.last_session, available.complete) == (dt.date(2024, 1, 12), 5)


def test_a_session_of_a_busy_stock_that_the_broker_has_lost_for_a_while_is_never_stored_as_empty(catalog: Catalog, tmp_path: Path) -> None:
    """2024-05-31 was a Friday, and is asked for twice and then once; all that is known of the stock is what is stored of it."""
    minutes = Series.of("AAPL.NASDAQ", "1-MINUTE-LAST")
    flags = ("--no-pacing", "--now", "2024-06-03T20:30Z", "--fault", "history:2-3=lost:2024-05-31")
    with start_gateway(tmp_path / "ill", *flags) as process, IbkrGateway(settings_of(tmp_path, process.port)) as ill:
        outcomes = [
            run(catalog, ill, [Order(minutes, Reach(Mode.FULL, dt.date(2024, 5, day), dt.date(2024, 5, day)))])[1][0].report for day in (30, 31, 31)
        ]
    reasons = ["".join(failure.reason for failure in report.failed_segments) for report in outcomes if report is not None]
    assert (reasons[0], reasons[2]) == ("", "")
    assert "it has lost them" in reasons[1]
    assert [(row.coverage, row.rows) for row in catalog.sessions(minutes)] == [(Coverage.COMPLETE, 390)] * 2
