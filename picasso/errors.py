"""The exceptions of Picasso, each with a message for users, a code for programs and an HTTP status."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypedDict

from picasso.redaction import redact

# The maximum length of a message about a model, and of one word in it, which may be a path.
MAX_MESSAGE_LENGTH, MAX_WORD_LENGTH = 5_000, 500
LONG_WORD = re.compile(rf"\S{{{MAX_WORD_LENGTH + 1},}}")


class ErrorDocument(TypedDict):
    """An error as plain values: its code, its message, and the invalid field, if there is one."""

    code: str
    message: str
    field: str | None


class PicassoError(Exception):
    """Base class of the errors that are reported to users.

    The message is one or two complete sentences: what was wrong, where, which values are valid, what to do.
    It is shown unchanged on pages, in the API and in the terminal, so it never contains a server path that an
    upload could probe for.

    Attributes:
        status: the HTTP status of the response.
        code: a short, stable name for programs.
        field: the invalid form field, setting or parameter, if there is one.
        value: the invalid text, if a field may have several.
        suggestions: valid values that may have been meant, the most likely first; pages offer them as buttons.

    Examples:
        >>> import picasso
        >>> from picasso.errors import PicassoError
        >>> try:
        ...     picasso.load_model("missing.keras")
        ... except PicassoError as error:
        ...     print(f"{error.code}: {error.message}")
        model: There is no model file missing.keras.
    """

    status = 500
    code = "error"

    def __init__(
        self, message: str, *, field: str | None = None, value: str = "", suggestions: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.value = value
        self.suggestions = tuple(suggestions)


class BadRequest(PicassoError):
    """The request is malformed or has an invalid value."""

    status = 400
    code = "bad_request"


class Unauthorized(PicassoError):
    """The server requires a password, and the request has none or a wrong one."""

    status = 401
    code = "unauthorized"


class Forbidden(PicassoError):
    """The request came from another site or for a host name that is not served."""

    status = 403
    code = "forbidden"


class NotFound(PicassoError):
    """The resource does not exist or belongs to another session; the response is the same."""

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
    """The server has reached its maximum number of sessions, or received too many wrong passwords."""

    status = 429
    code = "too_many"


class Busy(PicassoError):
    """The job queue is full, or too many requests are waiting for the model."""

    status = 503
    code = "busy"


class StorageFull(PicassoError):
    """The server's disk is full, or the sessions use as much space as they may together."""

    status = 507
    code = "storage_full"


class ConfigurationError(PicassoError):
    """A settings file, a command line option or a plugin folder is invalid; start-up ends with status 2."""

    code = "configuration"


class ModelError(PicassoError):
    """The model can't be loaded, or its output is not a classification.

    The message may contain names from a model file, so it is limited to one line of bounded length without control
    characters.
    """

    code = "model"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(presentable(message), field=field)


class ModelCodeError(ModelError):
    """A custom model class or preprocess() raised an exception; its traceback is logged."""


class RunError(PicassoError):
    """A visualization failed; other runs are not affected."""

    code = "run_failed"


class WorkerDied(RunError):
    """The worker process ended during a run; a new one is started for the next run.

    Clients that wait for an answer are told to try again, because their request was not at fault.
    """

    status = 503
    code = "worker_died"


class WorkerCrashed(WorkerDied):
    """The worker process crashed; it was not stopped for taking too long."""


class NotSent(WorkerCrashed):
    """The worker process ended before it received a request, so another one can compute it."""


class Cancelled(BaseException):
    """The run was cancelled; raised within a visualization when it reports progress.

    It is not an Exception, so that a visualization that catches exceptions does not continue a cancelled run.
    """


def presentable(message: str) -> str:
    """Return a message without line breaks and control characters, with a bounded length of it and its words."""
    line = LONG_WORD.sub(lambda found: f"{found[0][:MAX_WORD_LENGTH]}…", message[: 2 * MAX_MESSAGE_LENGTH])
    line = "".join(letter if letter.isprintable() else " " if letter.isspace() else "\ufffd" for letter in line)
    return line if len(line) <= MAX_MESSAGE_LENGTH else f"{line[:MAX_MESSAGE_LENGTH]}…"


def reason(error: BaseException, limit: int = 300) -> str:
    """Return the type and text of an exception of other code as part of a sentence: one line of bounded length.

    It contains no paths, no file contents and no tracebacks; see :mod:`picasso.redaction`.
    """
    text = redact(text_of(error), limit).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def text_of(value: object) -> str:
    """Return an object of other code as valid text; "" if its conversion fails."""
    try:
        return str(value).encode("utf-8", "replace").decode()
    # Other code may raise anything here, including exceptions that do not derive from Exception.
    except BaseException:
        return ""


def document_of(error: PicassoError) -> ErrorDocument:
    """Return an error as plain values; the class may be derived outside of Picasso."""
    message = text_of(getattr(error, "message", "")) or f"The operation failed: {reason(error)}."
    field = getattr(error, "field", None)
    return ErrorDocument(code=text_of(error.code), message=message, field=None if field is None else text_of(field))


def error_from(document: ErrorDocument) -> PicassoError:
    """Return the error for the plain values of :func:`document_of`, with Picasso's own class of that code."""
    classes = [PicassoError]
    # Derived classes come later, so the first class of a code is the base class.
    for cls in classes:
        classes += [one for one in cls.__subclasses__() if one.__module__ == __name__]
    found = next((cls for cls in classes if cls.code == document["code"]), PicassoError)
    error = found(document["message"], field=document["field"])
    error.code = document["code"]
    return error
