"""What the channels and concepts of a layer respond to, and what happens without them."""

__all__ = ["channel", "concepts", "effects"]
