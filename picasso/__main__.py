"""``python -m picasso`` is the ``picasso`` command."""

from picasso.cli.command import main

main(prog_name="picasso")
