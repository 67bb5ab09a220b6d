"""What the callbacks share: they wrap the model in memory once, and never change or end the training."""

from __future__ import annotations

import logging
import random
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

log = logging.getLogger(__name__)


class EpochCallback(keras.callbacks.Callback):  # type: ignore[misc] # Keras has no types
    """Records something about the model after each epoch; works in ``fit`` of Keras 3 and of tf_keras.

    Args:
        every: the number of epochs between two records.
        model: the Keras model to record; None for the one that is trained.
        labels: the class names, as for :func:`picasso.load_model`.
        preprocess: keywords or a function, as for :func:`picasso.load_model`.

    Raises:
        BadRequest: ``every`` is no positive integer.
        ModelError: ``model`` is no Keras model.
    """

    def __init__(
        self, every: int, model: Any, labels: str | Path | Sequence[str] | Mapping[Any, Any], preprocess: Any
    ) -> None:
        super().__init__()
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

    @abstractmethod
    def record(self, model: Model, epoch: int, logs: Mapping[str, Any]) -> None:
        """Record the state of the model after an epoch, counted from 1."""

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Forget the model of an earlier training, unless the same one is trained further."""
        model = self.keras_model()
        if self._of is not model:
            self._of, self._wrapped, self._unusable = model, None, False

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the epoch; an error is logged in one sentence, and the training continues."""
        if self._unusable or (epoch + 1) % self._every:
            return
        try:
            with random_state_kept():
                self.record(self._model_of_epoch(), epoch + 1, logs or {})
        except Exception as error:
            log.warning("%s recorded nothing for epoch %d: %s", type(self).__name__, epoch + 1, sentence(error))
            log.debug("The traceback of that error:", exc_info=error)
            # It would fail in every epoch, and trying takes seconds.
            self._unusable = self._wrapped is None

    def keras_model(self) -> Any:
        """Return the Keras model that is recorded."""
        return self.model if self._explained is None else self._explained

    def _model_of_epoch(self) -> Model:
        """Return the model in memory with its present weights; its graph is built on first use and then reused."""
        if self._wrapped is None:
            # Not before: the shapes of a subclassed model are known only after its first batch.
            model = load_model(self.keras_model(), labels=self._labels, preprocess=self._preprocess)
            model.weights_change = True
            self._wrapped = model
        return self._wrapped

    # Keras 2 asks these questions of each callback.

    def _implements_train_batch_hooks(self) -> bool:
        return False

    _implements_test_batch_hooks = _implements_predict_batch_hooks = _implements_train_batch_hooks


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
