"""Image handling: decoding, reading headers, and masking."""

__all__ = ["decode", "decoders", "masking", "pixels"]
