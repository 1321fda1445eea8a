"""Frames, as they go over the socket."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.gateway_simulator.wire import LONGEST_FRAME, Fields, MalformedFrame, frame, read_frame


def read(data: bytes) -> bytes:
    async def go() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await read_frame(reader)

    return asyncio.run(go())


def test_a_message_is_its_length_and_fields_that_end_in_nul() -> None:
    """49, 1, 1717425000 is 16 bytes: `49` NUL `1` NUL `1717425000` NUL."""
    assert frame(49, 1, 1717425000) == b"\x00\x00\x00\x10" + b"49\x001\x001717425000\x00"


def test_truth_is_one_and_nothing_is_empty() -> None:
    assert frame(True, False, "") == b"\x00\x00\x00\x05" + b"1\x000\x00\x00"


def test_names_beyond_ascii_are_escaped_as_clients_expect() -> None:
    """`ib_async/decoder.py` decodes long names with unicode-escape."""
    assert frame("NESTLÉ")[4:-1].decode("unicode-escape") == "NESTLÉ"


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="\0")), min_size=1))
def test_what_is_written_is_read(fields: list[str]) -> None:
    payload = read(frame(*fields))
    taken = Fields.of(payload)
    assert [taken.text() for _ in fields] == fields


@pytest.mark.parametrize("length", [b"\x00\x00\x00\x00", (LONGEST_FRAME + 1).to_bytes(4, "big"), b"GET "])
def test_a_length_that_cannot_be_one_is_refused(length: bytes) -> None:
    with pytest.raises(MalformedFrame):
        read(length + b"x" * 10)


def test_half_a_frame_is_one_whose_sender_left() -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        read(frame(49, 1)[:-1])


def test_a_field_without_an_end_is_refused() -> None:
    with pytest.raises(MalformedFrame, match="no end"):
        Fields.of(b"49\x001")


def test_a_missing_field_is_refused_by_name() -> None:
    fields = Fields.of(b"49\x00")
    fields.skip()
    with pytest.raises(MalformedFrame, match="ends after 1 fields"):
        fields.text()


@pytest.mark.parametrize("text", ["x", "1.5", "9" * 30, "0x10"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(MalformedFrame):
        Fields([text]).number()


def test_an_empty_number_is_zero() -> None:
    assert Fields([""]).number() == 0


def test_groups_that_are_not_there_are_refused() -> None:
    with pytest.raises(MalformedFrame):
        Fields(["a"] * 7).skip_groups(2, 4)
