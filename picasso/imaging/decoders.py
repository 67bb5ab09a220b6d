"""The decoder processes for uploads, with a budget of processes, memory and CPU time for the whole server.

Uploads are never decoded in the server itself but in :mod:`picasso.imaging.decoder_process`, a process that can be
killed. It reports from the header how much memory an image needs, and waits until that much is available.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from picasso.config import Settings
from picasso.errors import BadRequest, Busy, PicassoError, TooLarge, error_from
from picasso.imaging import decode, decoder_process

log = logging.getLogger(__name__)

# The maximum time that a request waits for its turn and for memory, in seconds.
TURN_TIMEOUT = 10.0
# The time, in addition to its CPU time limit, after which an unresponsive process is killed, in seconds.
STUCK = 30.0
MILLION = 1_000_000
# The process uses one thread, and frees memory as soon as an image is done.
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "262144",
    "MALLOC_TRIM_THRESHOLD_": "1048576",
}


@dataclass(frozen=True)
class DecodedUpload:
    """A decoded image: its pixels as a PNG, its thumbnail as WebP, and notes for the user."""

    pixels: Path
    small: Path
    notes: tuple[str, ...]


class Died(Exception):
    """A decoder process has ended.

    Attributes:
        code: its exit code, negative for a signal.
    """

    def __init__(self, code: int | None) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class DecoderProcess:
    """A decoder process, which handles one image at a time.

    Args:
        module: the module that it runs.
    """

    def __init__(self, module: str = decoder_process.__name__) -> None:
        process = subprocess.Popen(  # noqa: S603 - our own module
            # Without the current folder, which may contain any modules.
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        self.process, self._questions, self._answers = process, process.stdin, process.stdout
        #: Whether it was killed because it did not respond.
        self.stuck = False

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Kill the process if the block takes longer."""

        def end() -> None:
            self.stuck = True
            self.process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def send(self, document: object, body: bytes = b"") -> None:
        """Send a line, followed by bytes."""
        try:
            self._questions.write(json.dumps(document).encode() + b"\n")
            self._questions.write(body)
            self._questions.flush()
        except (OSError, ValueError):
            raise Died(self.ended()) from None

    def answer(self) -> dict[str, Any]:
        """Return the next line, or raise the error in it."""
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            raise Died(self.ended())
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise error_from(found["error"])
        return found

    def ended(self) -> int | None:
        """Return the exit code of a process that no longer responds."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(timeout=5)
        return None

    def close(self) -> None:
        """Stop the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self._questions, self._answers):
            with suppress(OSError):
                pipe.close()


class Decoders:
    """The decoder processes, each started when it is first needed.

    Args:
        folder: the folder for decoded images until they are stored.
        settings: the settings with the limits on processes, memory, time and pixels.
        start: starts a process.
    """

    def __init__(self, folder: Path, settings: Settings, start: Callable[[], DecoderProcess] = DecoderProcess) -> None:
        self._folder, self._settings, self._start = folder, settings, start
        self._changed = threading.Condition()
        self._idle: list[DecoderProcess] = []
        self._working: set[DecoderProcess] = set()
        # The number of images being decoded, and their memory budget in bytes.
        self._decoding = self._taken = 0
        self._closed = False

    @contextmanager
    def stored(self, source: bytes | IO[bytes], name: str) -> Iterator[DecodedUpload]:
        """Decode an image and yield the paths of its pixels and its thumbnail; they are deleted after the block.

        Args:
            source: the bytes of the file, or a stream from which they are read when it is their turn.
            name: the file name.

        Raises:
            UnsupportedImage, BadRequest, TooLarge: see :func:`picasso.imaging.decode.decode`.
            TooLarge: it needs more memory or time than allowed.
            Busy: it had to wait for other images for more than :data:`TURN_TIMEOUT` seconds.
            StorageFull: the disk is full.
        """
        draft = self._folder / secrets.token_hex(8)
        pixels, small = draft.with_suffix(".png"), draft.with_suffix(".webp")
        try:
            _, notes = self._decode(source, name, pixels=str(pixels), small=str(small))
            yield DecodedUpload(pixels, small, notes)
        finally:
            pixels.unlink(missing_ok=True)
            small.unlink(missing_ok=True)

    def checked(self, source: bytes | IO[bytes], name: str) -> bytes:
        """Return the bytes of an image after it was decoded once; the errors are those of :meth:`stored`."""
        body, _ = self._decode(source, name)
        return body

    def thumbnail(self, source: bytes | IO[bytes], name: str, target: Path, side: int) -> None:
        """Write the thumbnail of an image; the errors are those of :meth:`stored`."""
        self._decode(source, name, small=str(target), side=side)

    def warm(self) -> None:
        """Start a process, so that the first visitor does not wait for it."""
        with self._changed:
            if self._closed or self._idle or self._decoding:
                return
        self._keep(self._start())

    def _keep(self, helper: DecoderProcess) -> None:
        """Keep a process for the next image; stop it if the server is shutting down."""
        with self._changed:
            if not self._closed:
                self._idle.append(helper)
                return
        helper.close()

    def close(self) -> None:
        """Stop all processes; images that are being decoded fail."""
        with self._changed:
            self._closed = True
            helpers = [*self._idle, *self._working]
            self._idle.clear()
            self._changed.notify_all()
        for helper in helpers:
            helper.close()

    def _decode(
        self, source: bytes | IO[bytes], name: str, *, pixels: str = "", small: str = "", side: int = 0
    ) -> tuple[bytes, tuple[str, ...]]:
        settings, shown = self._settings, decode.display_name(name)
        with self._turn(shown):
            # The file is read only when it is its turn, so that waiting uploads use no memory.
            body = source if isinstance(source, bytes) else source.read()
            asked = {
                "name": name,
                "megapixels": settings.MAX_MEGAPIXELS,
                "seconds": settings.DECODE_SECONDS,
                "length": len(body),
                "pixels": pixels,
                "small": small,
                "side": side or decode.THUMBNAIL_SIDE,
            }
            with self._helper(shown) as helper:
                with helper.within(STUCK + settings.DECODE_SECONDS):
                    helper.send(asked, body)
                    needs = helper.answer()["needs"]
                with self._memory(helper, needs, shown), helper.within(self._longest()):
                    helper.send(True)
                    return body, tuple(helper.answer()["notes"])

    def _longest(self) -> float:
        """Return the time in seconds after which a process is considered stuck."""
        return (
            STUCK
            + 2 * self._settings.DECODE_SECONDS
            + self._settings.MAX_MEGAPIXELS * MILLION * decoder_process.STORING
        )

    @contextmanager
    def _turn(self, shown: str) -> Iterator[None]:
        """Wait until it is the turn of a request."""
        with self._changed:
            self._wait(lambda: self._decoding < self._settings.DECODE_PROCESSES, shown)
            self._decoding += 1
        try:
            yield
        finally:
            with self._changed:
                self._decoding -= 1
                self._changed.notify_all()

    @contextmanager
    def _helper(self, shown: str) -> Iterator[DecoderProcess]:
        """Provide a process for one image; a dead process is replaced when the next one is needed."""
        with self._changed:
            helper = self._idle.pop() if self._idle else None
        if helper and helper.process.poll() is not None:
            # Another program has killed it.
            helper.close()
            helper = None
        try:
            helper = helper or self._start()
        except OSError as error:
            log.warning("the decoder process can't be started: %s", error)
            raise Busy("The server can't start another process. Try again in a few seconds.") from error
        with self._changed:
            self._working.add(helper)
        try:
            yield helper
        except PicassoError:
            # It has finished this image and waits for the next one.
            raise
        except Died as died:
            log.warning("the decoder process has ended (%s); a new one replaces it", died)
            raise self._why(died, helper, shown) from None
        except BaseException:
            # Its remaining output would be mistaken for an answer to the next request.
            helper.process.kill()
            helper.process.wait()
            raise
        finally:
            with self._changed:
                self._working.discard(helper)
                well = helper.process.poll() is None and not self._closed
                if well:
                    self._idle.append(helper)
            if not well:
                helper.close()

    def _why(self, died: Died, helper: DecoderProcess, shown: str) -> Exception:
        """Return the error for a visitor whose image a process was decoding when it ended."""
        if self._closed:
            return Busy("The server is shutting down.")
        if helper.stuck:
            return Busy(f"Decoding {shown} timed out. Try again in a few seconds.")
        if died.code == -getattr(signal, "SIGXCPU", 0):
            return TooLarge(
                f"{shown} needs more than {self._settings.DECODE_SECONDS} seconds of CPU time to decode, which is the "
                "limit. Make it smaller, or save it again as PNG or baseline JPEG."
            )
        return BadRequest(f"{shown} can't be decoded: the decoder process ended. Save it again as PNG.")

    @contextmanager
    def _memory(self, helper: DecoderProcess, needs: int, shown: str) -> Iterator[None]:
        """Reserve bytes of the memory budget; if that is refused, the process discards the image."""
        most = self._settings.DECODE_MB * MILLION
        try:
            if needs > most:
                raise TooLarge(
                    f"{shown} needs {needs / MILLION:,.0f} MB to decode, more than the {most // MILLION:,} MB allowed. "
                    "Make it smaller."
                )
            with self._changed:
                self._wait(lambda: self._taken + needs <= most, shown)
                self._taken += needs
        except (TooLarge, Busy):
            helper.send(False)
            raise
        try:
            yield
        finally:
            with self._changed:
                self._taken -= needs
                self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool], shown: str) -> None:
        """Wait until a condition is true; the lock must be held."""
        if not self._changed.wait_for(lambda: self._closed or ready(), TURN_TIMEOUT) or self._closed:
            raise Busy(
                f"{shown} was not stored because the server is busy with other images. Try again in a few seconds."
            )
