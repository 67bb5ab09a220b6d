"""Image handling: decoding, reading headers, and masking."""
