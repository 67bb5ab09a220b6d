"""A process that decodes as :mod:`picasso.imaging.decoder_process` does, but misbehaves where an image is named for it.

``python -m tests.decoders``. A file of the same name in the folder ``$PICASSO_TEST_DECODERS`` shows that an image has
come; one whose name begins with ``hold`` is decoded when the file has gone.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import cast

from picasso.imaging import decode, decoder_process
from picasso.imaging.pixels import Decoded

opened = decode.opened


def misbehave(body: bytes, name: str, megapixels: int = decode.DEFAULT_MEGAPIXELS) -> decode.Opened:
    """Do what the name says, and then what is right."""
    found = opened(body, name, megapixels)
    word = name.partition("-")[0].partition(".")[0]
    if word == "spin":
        while True:
            pass
    if word == "die":
        os.abort()
    if word == "grow":
        return cast(decode.Opened, bytes(1 << 36))
    if word == "large":
        found.needs = 400_000_000
    if word in ("hold", "large"):
        mark = Path(os.environ["PICASSO_TEST_DECODERS"]) / name
        found.decode = lambda: held(mark, found)  # type: ignore[method-assign]
    return found


def held(mark: Path, found: decode.Opened) -> Decoded:
    """Decode an image when its mark has gone."""
    mark.touch()
    while mark.exists():
        time.sleep(0.01)
    return decode.Opened.decode(found)


if __name__ == "__main__":
    decode.opened = misbehave
    decoder_process.main()
