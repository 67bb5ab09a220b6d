"""Loads the model in the background, so that the protocol answers at once and the first call waits less."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait

from picasso.errors import Busy
from picasso.models.base import Model

# The seconds that a call waits for the model; many clients give up after a minute.
WAIT_SECONDS = 30.0
# The seconds between two looks at whether a call was cancelled.
STEP = 0.1


class BackgroundModel:
    """A model that is loaded once, in a thread of its own.

    Args:
        load: loads the model.

    Examples:
        >>> from picasso.agents.background_model import BackgroundModel
        >>> from picasso.examples.brightness import BrightnessModel
        >>> def load():
        ...     model = BrightnessModel()
        ...     model.load()
        ...     return model
        >>> model = BackgroundModel(load)
        >>> model.start()
        >>> model.get().class_names()
        ('dark', 'bright')
    """

    def __init__(self, load: Callable[[], Model]) -> None:
        self._load = load
        self._loaded: Future[Model] | None = None
        self._begun = 0.0

    def start(self) -> None:
        """Begin to load the model, unless it is loading or loaded."""
        if self._loaded is not None:
            return
        loaded: Future[Model] = Future()
        self._loaded, self._begun = loaded, time.monotonic()

        def work() -> None:
            try:
                loaded.set_result(self._load())
            # Code of users may raise anything.
            except BaseException as error:
                loaded.set_exception(error)

        # It does not keep the process alive when the client closes its input.
        threading.Thread(target=work, name="loading", daemon=True).start()

    def get(self, progress: Callable[[float], None] = lambda fraction: None) -> Model:
        """Return the model, for which this waits at most :data:`WAIT_SECONDS` seconds.

        Args:
            progress: called with 0 while this waits; may raise an exception to stop waiting.

        Raises:
            Busy: it is still loading.
            PicassoError: it can't be loaded; the next call tries again.
        """
        self.start()
        loaded, end = self._loaded, time.monotonic() + WAIT_SECONDS
        assert loaded is not None  # noqa: S101 - start() has set it
        while not loaded.done():
            progress(0.0)
            if (now := time.monotonic()) >= end:
                raise Busy(
                    f"The model is still loading, for {now - self._begun:.0f} seconds so far. Repeat the call later."
                )
            wait([loaded], STEP)
        if loaded.exception() is not None:
            self._loaded = None
        return loaded.result()
