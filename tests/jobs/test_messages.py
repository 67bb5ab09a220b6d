"""What goes through the pipe: plain values only, whatever plugins raise."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from picasso import errors
from picasso.errors import (
    BadRequest,
    ModelCodeError,
    ModelError,
    PicassoError,
    RunError,
    document_of,
    error_from,
    reason,
)
from picasso.jobs.messages import Answer, Message, Pulse, Request, Status, pack, unpack
from tests.faulty.faulty import Demanding, Nameless, Silent


@pytest.mark.parametrize(
    "message",
    [
        Request(1, "run", "/runs/a", 2),
        Request(2, "question", question={"kind": "estimate", "settings": {"Window": 0.2}}),
        Answer(3, {"seconds": None}),
        Answer(4, error=document_of(BadRequest("Wrong.", field="Window"))),
        Status({"state": "ready"}),
        Pulse(5, 0.25),
    ],
)
def test_messages_come_out_as_they_went_in(message: Message) -> None:
    assert unpack(pack(message)) == message


def test_texts_can_be_sent_on_and_folders_stay_as_they_are() -> None:
    assert unpack(pack(Status({"state": "failed", "error": "\ud800 dog"}))) == Status(
        {"state": "failed", "error": "? dog"}
    )
    request = Request(1, "run", "/runs/\udcff")
    assert unpack(pack(request)) == request


@pytest.mark.parametrize("value", [object(), float("nan"), {"a": {1, 2}}, ValueError("x")])
def test_what_is_no_plain_value_is_refused_before_it_is_sent(value: object) -> None:
    with pytest.raises(PicassoError, match="can't be sent"):
        pack(Answer(1, value))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"message": "Nothing"}', b'{"message": "Pulse"}', b"\xff"])
def test_what_is_no_message_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        unpack(body)


def all_errors(cls: type[PicassoError] = PicassoError) -> Iterator[type[PicassoError]]:
    yield cls
    for one in cls.__subclasses__():
        if one.__module__ == errors.__name__:
            yield from all_errors(one)


@pytest.mark.parametrize("cls", list(all_errors()))
def test_an_error_is_of_its_code_again(cls: type[PicassoError]) -> None:
    again = error_from(document_of(cls("Wrong.", field="Window")))
    assert (again.code, again.status, again.message, again.field) == (cls.code, cls.status, "Wrong.", "Window")
    assert isinstance(again, ModelError if cls is ModelCodeError else next(c for c in cls.__mro__ if "code" in vars(c)))


def test_an_error_of_somebody_elses_class_keeps_its_words() -> None:
    assert error_from(document_of(Demanding("one", "two"))).message == "one and two."
    assert error_from(document_of(Nameless())).message == "The operation failed: Nameless."
    own = RunError("Own.")
    own.code = "my_code"
    again = error_from(document_of(own))
    assert (again.code, again.status, again.message) == ("my_code", 500, "Own.")


def test_what_can_not_be_said_has_a_name() -> None:
    assert reason(Silent()) == "Silent"
    assert reason(ValueError("half a letter: \ud800")) == "ValueError: half a letter: ?"
    json.dumps(reason(ValueError("\ud800"))).encode()
