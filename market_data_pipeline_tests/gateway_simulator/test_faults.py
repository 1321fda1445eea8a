"""Each thing that can go wrong, as ib_async sees it. One gateway; what goes wrong is bound to the client id of its test."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from ib_async import IB
from ib_async.objects import BarData

from market_data_pipeline_tests.gateway import RunningGateway, start_gateway
from market_data_pipeline_tests.gateway_simulator.conftest import MONDAY_EVENING
from market_data_pipeline_tests.gateway_simulator.ib_async_client import AAPL, Session, run, session, three, until_dropped

_REQUEST_CODES = {162: 1, 165: 2, 200: 3, 321: 4, 322: 5, 354: 6, 366: 7, 430: 8, 10090: 9, 10187: 10, 10197: 11, 10314: 12}
_ENDING_CODES = {502: 21, 503: 22, 504: 23, 507: 24, 1300: 25, 326: 26}
_PASSING_CODES = {2103: 31, 2104: 32, 2105: 33, 2106: 34, 2107: 35, 2108: 36, 2110: 37, 2157: 38, 2158: 39, 1101: 40, 1102: 41}
_SILENT_CODES = {100: 51, 1100: 52}
_NAMED = {"no-data": 61, "pacing": 62, "no-permission": 63, "query-cancelled": 64, "unknown-contract": 65, "ambiguous": 66}
_OTHERS = {
    "silence": 70,
    "slow": 71,
    "drop-before": 72,
    "drop-middle": 73,
    "drop-after": 74,
    "half-frame": 75,
    "garbage": 76,
    "garbage-frame": 77,
    "one-byte": 78,
    "disorder": 79,
    "duplicates": 80,
    "truncated": 81,
    "empty": 82,
    "stale": 83,
}


def _scenario() -> str:
    codes = _REQUEST_CODES | _ENDING_CODES | _PASSING_CODES | _SILENT_CODES
    faults = [f"{{kind: history, client: {client}, at: 2, do: error, code: {code}}}" for code, client in codes.items()]
    faults += [
        f"{{kind: history, client: {client}, at: 2, do: {name}{', seconds: 0.8' if name == 'slow' else ''}}}"
        for name, client in (_NAMED | _OTHERS).items()
    ]
    faults += ["{kind: start, client: 90, do: in-use}", "{kind: start, client: 91, do: silence}", "{kind: contracts, client: 92, do: silence}"]
    faults += ["{kind: head, client: 93, do: error, code: 162}", "{kind: matching, client: 94, do: drop-before}"]
    faults += ["{kind: any, client: 95, do: one-byte}"]
    return "faults:\n" + "".join(f"  - {fault}\n" for fault in faults)


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway whose second answer to most clients goes wrong."""
    folder = tmp_path_factory.mktemp("hurt")
    (folder / "scenario.yaml").write_text(_scenario(), encoding="utf-8")
    with start_gateway(folder, "--now", MONDAY_EVENING, "--no-pacing", "--scenario", str(folder / "scenario.yaml")) as running:
        yield running


def lengths(hurt: RunningGateway, client: int) -> tuple[list[int], Session]:
    async def go() -> tuple[list[int], Session]:
        async with session(hurt, client) as opened:
            return [len(bars) for bars in await three(opened)], opened

    return run(go())


@pytest.mark.parametrize(("code", "client"), _REQUEST_CODES.items())
def test_an_error_of_a_request_carries_its_id(hurt: RunningGateway, code: int, client: int) -> None:
    """165 and 321 are warnings to ib_async, which goes on waiting."""
    got, opened = lengths(hurt, client)
    assert got == [10, 0, 10]
    request_id, told, text = opened.errors[0]
    assert (request_id > 0, told) == (True, code)
    assert "{" not in text


@pytest.mark.parametrize(("name", "client"), _NAMED.items())
def test_errors_have_names_where_the_code_is_not_enough(hurt: RunningGateway, name: str, client: int) -> None:
    texts = {
        "no-data": (162, "Historical Market Data Service error message:HMDS query returned no data: AAPL@SMART Trades"),
        "pacing": (162, "Historical Market Data Service error message:Historical data request pacing violation"),
        "no-permission": (162, "Historical Market Data Service error message:No market data permissions for SMART STK"),
        "query-cancelled": (162, "Historical Market Data Service error message:API historical data query cancelled:"),
        "unknown-contract": (200, "No security definition has been found for the request"),
        "ambiguous": (200, "The contract description specified for AAPL is ambiguous."),
    }
    got, opened = lengths(hurt, client)
    assert got == [10, 0, 10]
    _, code, text = opened.errors[0]
    assert code == texts[name][0]
    assert text.startswith(texts[name][1])


@pytest.mark.parametrize(("code", "client"), _PASSING_CODES.items())
def test_a_notice_about_the_connection_belongs_to_no_request_and_the_answer_comes(hurt: RunningGateway, code: int, client: int) -> None:
    async def go() -> list[tuple[int, int]]:
        ib, told = IB(), []
        ib.errorEvent += lambda request_id, told_code, text, contract: told.append((request_id, told_code))
        await ib.connectAsync(hurt.host, hurt.port, client, readonly=True)
        opened = Session(ib)
        assert [len(bars) for bars in await three(opened)] == [10, 10, 10]
        ib.disconnect()
        return told[3:]

    assert run(go()) == [(-1, code)]


@pytest.mark.parametrize(("code", "client"), _SILENT_CODES.items())
def test_some_notices_leave_the_request_without_an_answer(hurt: RunningGateway, code: int, client: int) -> None:
    got, opened = lengths(hurt, client)
    assert got == [10, 0, 10]
    assert opened.errors[0][:2] == (-1, code)


@pytest.mark.parametrize(("code", "client"), _ENDING_CODES.items())
def test_some_notices_end_the_connection(hurt: RunningGateway, code: int, client: int) -> None:
    async def go() -> list[tuple[int, int]]:
        async with session(hurt, client) as opened:
            assert len(await opened.bars(end="20240603-15:00:00", duration="600 S")) == 10
            await until_dropped(opened, "20240603-16:00:00")
            return [(request_id, told) for request_id, told, _ in opened.errors]

    assert run(go())[0] == (-1, code)


@pytest.mark.parametrize("name", ["drop-before", "drop-middle", "drop-after"])
def test_the_connection_can_end_before_in_the_middle_of_and_after_an_answer(hurt: RunningGateway, name: str) -> None:
    async def go() -> tuple[list[BarData] | None, int]:
        async with session(hurt, _OTHERS[name]) as opened:
            await opened.bars(end="20240603-15:00:00", duration="600 S")
            before = opened.ib.client.connectionStats().numBytesRecv
            received = []
            opened.ib.client.conn.hasData += lambda data: received.append(len(data))
            assert before
            return await until_dropped(opened, "20240603-16:00:00"), sum(received)

    answer, received = run(go())
    assert (len(answer) if answer else 0) == (10 if name == "drop-after" else 0)
    assert (received > 0) == (name != "drop-before")


def test_a_client_that_was_dropped_may_come_back(hurt: RunningGateway) -> None:
    async def go() -> None:
        async with session(hurt, _OTHERS["drop-before"]) as opened:
            assert len(await opened.bars(end="20240603-18:00:00", duration="600 S")) in {0, 10}

    run(go())


@pytest.mark.parametrize("name", ["silence", "half-frame", "garbage"])
def test_an_answer_can_never_come(hurt: RunningGateway, name: str) -> None:
    async def go() -> list[int]:
        async with session(hurt, _OTHERS[name]) as opened:
            first = await opened.bars(end="20240603-15:00:00", duration="600 S", timeout=2)
            second = await opened.bars(end="20240603-16:00:00", duration="600 S", timeout=0.5)
            return [len(first), len(second)]

    assert run(go()) == [10, 0]


def test_a_frame_of_garbage_is_passed_over(hurt: RunningGateway) -> None:
    got, _ = lengths(hurt, _OTHERS["garbage-frame"])
    assert got == [10, 0, 10]


def test_silence_keeps_a_request_open_until_it_is_cancelled(hurt: RunningGateway) -> None:
    async def go() -> list[int]:
        async with session(hurt, 92) as opened:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(opened.ib.reqContractDetailsAsync(AAPL), 0.3)
            return opened.codes

    assert run(go()) == []


def test_a_slow_answer_comes(hurt: RunningGateway) -> None:
    async def go() -> tuple[int, float]:
        async with session(hurt, _OTHERS["slow"]) as opened:
            await opened.bars(end="20240603-15:00:00", duration="600 S")
            before = asyncio.get_running_loop().time()
            bars = await opened.bars(end="20240603-16:00:00", duration="600 S", timeout=5)
            return len(bars), asyncio.get_running_loop().time() - before

    count, seconds = run(go())
    assert count == 10
    assert 0.8 <= seconds < 3.0


def _second(hurt: RunningGateway, name: str) -> tuple[list[BarData], list[BarData]]:
    """Return the answer that goes wrong, and the right one."""

    async def go() -> tuple[list[BarData], list[BarData]]:
        async with session(hurt, _OTHERS[name]) as opened:
            first, second, third = await three(opened)
            assert (len(first), len(third)) == (10, 10)
            return second, await opened.bars(end="20240603-16:00:00", duration="600 S")

    return run(go())


def test_an_answer_can_come_byte_by_byte(hurt: RunningGateway) -> None:
    got, right = _second(hurt, "one-byte")
    assert got == right


def test_everything_can_come_byte_by_byte(hurt: RunningGateway) -> None:
    async def go() -> tuple[int, int]:
        async with session(hurt, 95) as opened:
            details, bars = await asyncio.gather(opened.ib.reqContractDetailsAsync(AAPL), opened.bars())
            return len(details), len(bars)

    assert run(go()) == (1, 390)


def test_bars_can_be_out_of_order(hurt: RunningGateway) -> None:
    got, right = _second(hurt, "disorder")
    assert got != right
    assert sorted(got, key=_date) == right


def test_bars_can_come_twice(hurt: RunningGateway) -> None:
    """Every third one, beginning with the first: 10 become 14."""
    got, right = _second(hurt, "duplicates")
    assert len(got) == 14
    assert [bar for place, bar in enumerate(got) if place == 0 or bar != got[place - 1]] == right


def test_an_answer_can_be_cut_short(hurt: RunningGateway) -> None:
    got, right = _second(hurt, "truncated")
    assert got == right[:5]


def test_an_answer_can_be_empty_without_an_error(hurt: RunningGateway) -> None:
    got, _ = lengths(hurt, _OTHERS["empty"])
    assert got == [10, 0, 10]


def test_an_answer_to_another_id_can_come_first(hurt: RunningGateway) -> None:
    async def go() -> tuple[list[int], list[str]]:
        async with session(hurt, _OTHERS["stale"]) as opened:
            ids: list[str] = []
            usual = opened.ib.client.decoder.handlers[17]

            def note(fields: list[str]) -> None:
                ids.append(fields[1])
                usual(fields)

            opened.ib.client.decoder.handlers[17] = note
            return [len(bars) for bars in await three(opened)], ids

    got, ids = run(go())
    assert got == [10, 10, 10]
    assert ids[1] == ids[0]
    assert len(ids) == 4


def _date(bar: BarData) -> dt.datetime:
    assert isinstance(bar.date, dt.datetime)
    return bar.date


def test_a_client_id_can_be_said_to_be_in_use(hurt: RunningGateway) -> None:
    async def go() -> list[int]:
        ib, codes = IB(), []
        ib.errorEvent += lambda request_id, code, text, contract: codes.append(code)
        with pytest.raises((ConnectionError, TimeoutError)):
            await ib.connectAsync(hurt.host, hurt.port, 90, timeout=1)
        return codes

    assert run(go()) == [326]


def test_a_gateway_can_take_a_client_and_never_say_that_it_may_begin(hurt: RunningGateway) -> None:
    async def go() -> None:
        with pytest.raises(TimeoutError):
            await IB().connectAsync(hurt.host, hurt.port, 91, timeout=0.5)

    run(go())


def test_other_requests_can_go_wrong_too(hurt: RunningGateway) -> None:
    async def go() -> list[int]:
        async with session(hurt, 93) as opened:
            await opened.ib.reqHeadTimeStampAsync(AAPL, "TRADES", True, 2)
            codes = opened.codes
        async with session(hurt, 94) as opened:
            dropped = asyncio.Event()
            opened.ib.disconnectedEvent += dropped.set
            asking = asyncio.ensure_future(opened.ib.reqMatchingSymbolsAsync("AAPL"))
            await asyncio.wait_for(dropped.wait(), 5)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        return codes

    assert run(go()) == [162]


def test_faults_are_counted_and_told_per_request(hurt: RunningGateway) -> None:
    lengths(hurt, 99)
    statistics = hurt.statistics()
    assert statistics["faults"]
    assert {one["fault"] for one in statistics["recent"] if one["client"] == 99} == {""}


@pytest.mark.slow
def test_a_gateway_in_which_everything_goes_wrong_at_random_lives_and_its_right_answers_are_right(tmp_path: Path) -> None:
    """Each of the faults of bars and connections with 3 %, over 300 requests of a client that comes back whenever it is dropped."""
    names = [*_OTHERS, *_NAMED, "error-1100", "error-2105", "error-165", "outage-kept:0.1", "outage-lost:0.1", "restart:0.1"]
    flags = [part for name in names for part in ("--fault", f"history:3%={name}{':0.2' if name == 'slow' else ''}")]
    harmless = {"", "slow", "one-byte", "stale", "outage-kept"}

    async def go(gateway: RunningGateway) -> dict[str, list[BarData]]:
        got: dict[str, list[BarData]] = {}
        pending = [f"20240603-{14 + number // 60}:{number % 60:02}:00" for number in range(300)]
        while pending:
            try:
                async with session(gateway, 1) as opened:
                    while pending and opened.ib.isConnected():
                        end = pending.pop()
                        got[end] = await opened.bars(end=end, duration="60 S", timeout=0.3)
                        if not got[end]:
                            break  # what came may be the rest of another answer: begin anew
            except (ConnectionError, TimeoutError, OSError):
                await asyncio.sleep(0.05)
        return got

    with start_gateway(tmp_path, "--now", MONDAY_EVENING, "--no-pacing", *flags) as gateway:
        got = asyncio.run(go(gateway))
        told = [one for one in gateway.statistics()["recent"] if one["kind"] == "history"]
        assert gateway.process.poll() is None
        assert "Traceback" not in gateway.output()
        assert " failed: " not in gateway.output()

        async def again() -> dict[str, list[BarData]]:
            async with session(gateway, 2) as opened:
                return {end: await opened.bars(end=end, duration="60 S", timeout=5) for end in got}

        gateway.stop()
    with start_gateway(tmp_path / "again", "--now", MONDAY_EVENING, "--no-pacing") as gateway:
        right = asyncio.run(again())
    assert len([one for one in told if one["fault"]]) > 60
    wrong = [one["end"] for one in told if one["fault"] in harmless and one["answer"] == "bars" and got[one["end"]] not in ([], right[one["end"]])]
    assert wrong == []
