"""Event files for TensorBoard, written by the package ``tensorboard`` without TensorFlow."""

__all__ = ["event_writer", "existing", "records"]
