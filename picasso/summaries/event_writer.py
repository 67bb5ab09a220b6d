"""Write scalars, images and texts into an event file that TensorBoard reads."""

from __future__ import annotations

import math
import os
import secrets
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from PIL import Image

from picasso.errors import ConfigurationError
from picasso.imaging import decode

MISSING = "TensorBoard summaries need the package tensorboard: pip install 'picasso-viz[tensorboard]'."


def require_package() -> None:
    """Raise a ConfigurationError if the package ``tensorboard`` is not installed."""
    if find_spec("tensorboard") is None:
        raise ConfigurationError(MISSING, field="tensorboard")


class EventWriter:
    """An event file in a folder.

    Each event is written at once, so if the process is killed, all earlier events can be read. TensorBoard ignores an
    event at the end that is incomplete.

    Args:
        folder: the folder, which is made if it does not exist; TensorBoard calls each folder a run.

    Attributes:
        file: the event file.

    Raises:
        ConfigurationError: the package ``tensorboard`` is not installed.
        OSError: the folder or the file can't be written.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from picasso.summaries.event_writer import EventWriter
        >>> folder = Path(tempfile.mkdtemp())
        >>> with EventWriter(folder) as events:
        ...     events.scalar("confidence/a cat", 0.75, step=1)
        >>> [file.name.partition(".tfevents")[0] for file in folder.iterdir()]
        ['events.out']
    """

    def __init__(self, folder: Path) -> None:
        require_package()
        # These modules of TensorBoard import no TensorFlow.
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        folder.mkdir(parents=True, exist_ok=True)
        now = int(time.time())
        name = f"events.out.tfevents.{now:010d}.picasso.{os.getpid()}.{secrets.token_hex(4)}"
        self.file = folder / name
        self._records = RecordWriter(self.file.open("wb", buffering=0))
        self._write(file_version="brain.Event:2")

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._records.close()

    def scalar(self, tag: str, value: float | None, step: int, description: str = "") -> None:
        """Write a number; None, NaN and infinity are left out."""
        from tensorboard.plugins.scalar.metadata import create_summary_metadata

        if value is not None and math.isfinite(value):
            self._add(tag, [float(value)], "float32", create_summary_metadata("", description), step)

    def image(self, tag: str, image: Image.Image, step: int, description: str = "") -> None:
        """Write an image; ``description`` is Markdown."""
        from tensorboard.plugins.image.metadata import create_summary_metadata

        values = [str(image.width).encode(), str(image.height).encode(), decode.encode(image)]
        self._add(tag, values, "string", create_summary_metadata("", description), step)

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Write a text in Markdown."""
        from tensorboard.plugins.text.metadata import create_summary_metadata

        self._add(tag, [markdown.encode("utf-8", "replace")], "string", create_summary_metadata("", ""), step)

    def _add(self, tag: str, values: list[Any], kind: str, metadata: Any, step: int) -> None:
        """Write a summary of a tensor ``(n,)``, or of its only value if it is a number."""
        import numpy as np
        from tensorboard.util import tensor_util

        array = np.float32(values[0]) if kind == "float32" else np.array(values, object)
        tensor = tensor_util.make_tensor_proto(array)
        value = self._summary.Value(tag=tag, tensor=tensor, metadata=metadata)
        self._write(step=step, summary=self._summary(value=[value]))

    def _write(self, **fields: Any) -> None:
        self._records.write(self._event(wall_time=time.time(), **fields).SerializeToString())
