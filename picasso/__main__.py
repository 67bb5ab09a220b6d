"""``python -m picasso`` is the ``picasso`` command."""

from picasso.cli import main

main(prog_name="picasso")
