"""How a value out of a model file is shown in a message."""

from __future__ import annotations

MAX_LENGTH = 80


def shown(value: object) -> str:
    """Return a value of a file as a short, printable text in quotation marks.

    Example:
        >>> shown("a" * 100 + chr(27))
        '"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…"'
    """
    text = "".join(letter if letter.isprintable() else "�" for letter in str(value)[: MAX_LENGTH + 1])
    return f'"{text[: MAX_LENGTH - 2]}…"' if len(text) > MAX_LENGTH else f'"{text}"'


def shown_path(value: str) -> str:
    """Return a path or an address out of a file by its last part only: messages lead to no other place.

    Example:
        >>> shown_path("/etc/passwd")
        '"…/passwd"'
    """
    last = value.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return shown(value if last == value else f"…/{last}")
