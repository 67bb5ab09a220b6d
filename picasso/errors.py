"""One family of errors: a sentence for the user, a code for programs, and the HTTP status it becomes."""

from __future__ import annotations

import re
from typing import TypedDict

from picasso.redaction import redact

# Letters in a message about a model: in all, and of one word, which may be a path.
MAX_MESSAGE_LENGTH, MAX_WORD_LENGTH = 5_000, 500
LONG_WORD = re.compile(rf"\S{{{MAX_WORD_LENGTH + 1},}}")


class ErrorDocument(TypedDict):
    """An error as plain values: its code, its message, and the field that was wrong, if it was one."""

    code: str
    message: str
    field: str | None


class PicassoError(Exception):
    """Something went wrong that the user can be told about.

    The message is one or two complete sentences: what was wrong, where, which values are valid, what to do.
    It is shown as it is on pages, in the API and in the terminal, so it never holds a server path that an
    upload could probe for.

    Attributes:
        status: the HTTP status that pages and the API answer with.
        code: a short, stable name for programs.
        field: the form field, setting or parameter that was wrong, if it was one.
    """

    status = 500
    code = "error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class BadRequest(PicassoError):
    """The request can't be understood or asks for a value that is not allowed."""

    status = 400
    code = "bad_request"


class Unauthorized(PicassoError):
    """The server has a password, and the request brought none or a wrong one."""

    status = 401
    code = "unauthorized"


class Forbidden(PicassoError):
    """Another site, or a host name that is not ours, sent the request."""

    status = 403
    code = "forbidden"


class NotFound(PicassoError):
    """There is no such thing, or it belongs to another session: the answer is the same."""

    status = 404
    code = "not_found"


class NotReady(PicassoError):
    """The model is still loading, or could not be loaded."""

    status = 503
    code = "not_ready"


class TooLarge(PicassoError):
    """A file, an image or a session is larger than the settings allow."""

    status = 413
    code = "too_large"


class UnsupportedImage(PicassoError):
    """The bytes are not an image in one of the accepted formats."""

    status = 415
    code = "unsupported_image"


class TooMany(PicassoError):
    """The server already holds as many sessions as it may, or wrong passwords came too fast."""

    status = 429
    code = "too_many"


class Busy(PicassoError):
    """The queue of runs is full, or so many requests wait for the model that another one may not."""

    status = 503
    code = "busy"


class StorageFull(PicassoError):
    """The disk has no room for another file."""

    status = 507
    code = "storage_full"


class ConfigurationError(PicassoError):
    """A settings file, a command line option or a plugin folder is wrong; start-up ends with status 2."""

    code = "configuration"


class ModelError(PicassoError):
    """The model can't be loaded, or answered something that is no classification.

    Its message may hold names out of a model file: it is shown on one line, without control characters, and bounded.
    """

    code = "model"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(presentable(message), field=field)


class ModelCodeError(ModelError):
    """A model class or preprocess() of the operator's own raised an exception; its traceback is logged."""


class RunError(PicassoError):
    """A visualization failed; only its run is affected."""

    code = "run_failed"


class WorkerDied(RunError):
    """The process that computes ended in mid-run; a new one is started for the next run.

    Whoever waits for an answer is told to ask again: nothing was wrong with what was asked.
    """

    status = 503
    code = "worker_died"


class WorkerCrashed(WorkerDied):
    """It ended by itself, not because it took too long or did not stop."""


class Cancelled(BaseException):
    """The run was cancelled; raised from inside a visualization when it reports progress.

    Not an Exception, so that a visualization that catches those does not go on with an unwanted run.
    """


def presentable(message: str) -> str:
    """Return a message without line breaks and control characters, its words and itself of a bounded length."""
    line = LONG_WORD.sub(lambda found: f"{found[0][:MAX_WORD_LENGTH]}…", message[: 2 * MAX_MESSAGE_LENGTH])
    line = "".join(letter if letter.isprintable() else " " if letter.isspace() else "\ufffd" for letter in line)
    return line if len(line) <= MAX_MESSAGE_LENGTH else f"{line[:MAX_MESSAGE_LENGTH]}…"


def reason(error: BaseException, limit: int = 300) -> str:
    """Return the kind and text of somebody else's error as part of a sentence: one line, of bounded length.

    It holds no path, no content of a file and no trace of a program; see :mod:`picasso.redaction`.
    """
    text = redact(text_of(error), limit).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def text_of(value: object) -> str:
    """Return the text of something that others made, as it can be sent anywhere; "" where it fails to say it."""
    try:
        return str(value).encode("utf-8", "replace").decode()
    # Also what is no Exception: whoever wrote it may raise anything here.
    except BaseException:
        return ""


def document_of(error: PicassoError) -> ErrorDocument:
    """Return an error as plain values, also one of a class that others derived from ours."""
    message = text_of(getattr(error, "message", "")) or f"It failed: {reason(error)}."
    field = getattr(error, "field", None)
    return ErrorDocument(code=text_of(error.code), message=message, field=None if field is None else text_of(field))


def error_from(document: ErrorDocument) -> PicassoError:
    """Return the error that :func:`document_of` made plain values of: Picasso's own class of that code."""
    classes = [PicassoError]
    # Those that are derived come later, so that the first of a code is the plainest.
    for cls in classes:
        classes += [one for one in cls.__subclasses__() if one.__module__ == __name__]
    found = next((cls for cls in classes if cls.code == document["code"]), PicassoError)
    error = found(document["message"], field=document["field"])
    error.code = document["code"]
    return error
