"""What a page that is kept as a file may load: nothing but what is in it, wherever it is opened."""

from __future__ import annotations

import base64
import hashlib


def content_security_policy(*styles: str) -> str:
    """Return the Content-Security-Policy of a page with these texts in its style elements, and data: images.

    No script runs in it and nothing is fetched, not even where a name or a template of somebody's wrote it into the
    page. Attributes ``style`` are not let through.
    """
    digests = (hashlib.sha256(style.encode()).digest() for style in styles)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return f"default-src 'none'; img-src data:; style-src {hashes}; base-uri 'none'; form-action 'none'"
