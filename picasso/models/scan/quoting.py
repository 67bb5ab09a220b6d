"""Quote values from model files in messages."""

from __future__ import annotations

MAX_LENGTH = 80


def shown(value: object) -> str:
    """Return a value from a file as a short, printable text in quotation marks.

    Examples:
        >>> from picasso.models.scan.quoting import shown
        >>> shown("a" * 100 + chr(27))
        '"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…"'
    """
    text = "".join(letter if letter.isprintable() else "�" for letter in str(value)[: MAX_LENGTH + 1])
    return f'"{text[: MAX_LENGTH - 2]}…"' if len(text) > MAX_LENGTH else f'"{text}"'


def shown_path(value: str) -> str:
    """Return only the last part of a path or URL from a file, so that messages do not contain links.

    Examples:
        >>> from picasso.models.scan.quoting import shown_path
        >>> shown_path("/etc/passwd")
        '"…/passwd"'
    """
    last = value.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return shown(value if last == value else f"…/{last}")
