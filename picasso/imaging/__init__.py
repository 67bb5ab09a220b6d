"""Images: the one door through which bytes become pixels, headers, and masking."""
