"""What the callbacks share: they wrap the model in memory once, and never change or end the training."""

from __future__ import annotations

import logging
import random
import re
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from picasso.errors import BadRequest, PicassoError, reason
from picasso.models import load_model
from picasso.models.base import Model
from picasso.models.loading import in_memory
from picasso.models.tf.runtime import keras
from picasso.summaries.event_writer import EventWriter, require_package

log = logging.getLogger(__name__)


class EpochCallback(keras.callbacks.Callback):  # type: ignore[misc] # Keras has no types
    """Records something about the model after each epoch; works in ``fit`` of Keras 3 and of tf_keras.

    Args:
        every: the number of epochs between two records.
        model: the Keras model to record; None for the one that is trained.
        labels: the class names, as for :func:`picasso.load_model`.
        preprocess: keywords or a function, as for :func:`picasso.load_model`.
        to: the folder for files, or None.
        tensorboard: the folder for an event file of TensorBoard, or None.
        before: whether to record the model before its first epoch, too.

    Raises:
        BadRequest: ``every`` is no positive integer, ``to`` is a file, or there is no folder.
        ConfigurationError: the package ``tensorboard`` is needed and not installed.
        ModelError: ``model`` is no Keras model.
    """

    def __init__(
        self,
        every: int,
        model: Any,
        labels: str | Path | Sequence[str] | Mapping[Any, Any],
        preprocess: Any,
        to: str | Path | None,
        tensorboard: str | Path | None,
        *,
        before: bool = False,
    ) -> None:
        super().__init__()
        if to is None and tensorboard is None:
            raise BadRequest(f"{type(self).__name__}() writes nothing: pass a folder as to or tensorboard.", field="to")
        if tensorboard is not None:
            require_package()
        if to is not None and Path(to).is_file():
            raise BadRequest(f"{to} is a file; pass a folder as to.", field="to")
        if not isinstance(every, int) or every < 1:
            raise BadRequest(
                f"every is the number of epochs between two records, 1 or more, not {every!r}.", field="every"
            )
        if model is not None:
            in_memory(model)
        self._every, self._explained = every, model
        self._labels, self._preprocess = labels, preprocess
        self._wrapped: Model | None = None
        # The Keras model that is wrapped: the callback may be passed to the training of another one.
        self._of: Any = None
        self._unusable = False
        # Whether the rounding errors of the wrapped model are those of the weights before the training.
        self._untrained = False
        self._before = before
        # Whether the first epoch of a training is still to come.
        self._first = False
        self._to = None if to is None else Path(to)
        self._logdir = None if tensorboard is None else Path(tensorboard)
        self._events: EventWriter | None = None
        # The errors of which the user was told.
        self._told = set[str]()

    @abstractmethod
    def check(self, model: Model) -> None:
        """Raise an error if the arguments do not fit the model, which is not trained yet."""

    @abstractmethod
    def record(self, model: Model, epoch: int, logs: Mapping[str, Any]) -> None:
        """Record the state of the model after an epoch, counted from 1; 0 is before the first."""

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Forget the model of an earlier training, unless the same one is trained further, and check the arguments.

        Raises:
            PicassoError: an argument does not fit the model, or a folder can't be written. Of a model whose layers have
                no shapes yet, this is known only after the first epoch.
        """
        self._told.clear()
        self._first = True
        for folder in filter(None, (self._to, self._logdir)):
            require_writable(folder)
        model = self.keras_model()
        if self._of is not model:
            self._of, self._wrapped, self._unusable = model, None, False
        if self._wrapped is None and has_shapes(model):
            try:
                with random_state_kept():
                    self.check(self._model_of_epoch())
                self._untrained = True
            except PicassoError:
                self._of = self._wrapped = None
                raise
            # Perhaps only this model, which is not trained yet, causes it.
            except Exception as error:
                self._tell("can't check its arguments", error)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the model as it is before its first epoch, if that is wanted and its layers have shapes already."""
        if self._before and self._first and self._wrapped is not None:
            try:
                with random_state_kept():
                    self.record(self._wrapped, epoch, {})
            except Exception as error:
                self._tell("recorded nothing before the first epoch", error)
        self._first = False

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Close the event file; a further training begins another one."""
        if self._events:
            self._events.close()
            self._events = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the epoch; an error is logged in one sentence, once, and the training continues."""
        if self._unusable or (epoch + 1) % self._every:
            return
        try:
            with random_state_kept():
                self.record(self._model_of_epoch(), epoch + 1, logs or {})
        except Exception as error:
            self._tell(f"recorded nothing for epoch {epoch + 1}", error)
            # It would fail in every epoch, and trying takes seconds.
            self._unusable = self._wrapped is None

    def _tell(self, what: str, error: Exception) -> None:
        """Log an error as a warning, unless it was logged for an earlier epoch."""
        said = f"{type(self).__name__} {what}: {sentence(error)}"
        # Messages of the same error differ in the number of the epoch and in the names of drafts.
        kind = re.sub(r"\w*\d\w*", "#", said)
        if kind not in self._told:
            self._told.add(kind)
            log.warning("%s If it occurs again in this training, it is not reported again.", said)
        log.debug("The traceback of that error:", exc_info=error)

    def events(self, logdir: Path) -> EventWriter:
        """Return the event file of this training."""
        self._events = self._events or EventWriter(logdir)
        return self._events

    def keras_model(self) -> Any:
        """Return the Keras model that is recorded."""
        return self.model if self._explained is None else self._explained

    def _model_of_epoch(self) -> Model:
        """Return the model in memory with its present weights; its graph is built on first use and then reused.

        Its rounding errors are measured for the weights at the beginning, and again after the first recorded epoch.
        """
        if self._wrapped is None:
            # Not before: the shapes of a subclassed model are known only after its first batch.
            model = load_model(self.keras_model(), labels=self._labels, preprocess=self._preprocess)
            model.weights_change = True
            self._wrapped = model
        elif self._untrained:
            self._wrapped.warm_up()
            self._untrained = False
        return self._wrapped

    # Keras 2 asks these questions of each callback.

    def _implements_train_batch_hooks(self) -> bool:
        return False

    _implements_test_batch_hooks = _implements_predict_batch_hooks = _implements_train_batch_hooks


def has_shapes(model: Any) -> bool:
    """Tell whether the layers of a Keras model are connected; those of a subclassed model are by its first batch."""
    return bool(getattr(model, "built", False) and getattr(model, "inputs", None))


def require_writable(folder: Path) -> None:
    """Make a folder, if it does not exist, and write a file that is deleted at once.

    Raises:
        BadRequest: that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise BadRequest(f"Nothing can be written into {folder}: {error.strerror}. Pass another folder.") from error


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Restore the global random states of Python and NumPy after a block, which code of users may draw from."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - this is the state that training uses
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def sentence(error: Exception) -> str:
    """Return an error as one sentence."""
    return error.message if isinstance(error, PicassoError) else f"{reason(error)}."
