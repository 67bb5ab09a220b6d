"""What a visitor may read of an error that a library raised: its reason, without places and contents of this machine.

Messages of TensorFlow, Keras, ONNX Runtime, HDF5 and Python itself hold paths, addresses, parts of files, stack traces
and whole configurations. Nothing of the kind is left here; the log has the error as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Longer texts say nothing more; both ends are looked at.
MAX_LENGTH = 5_000
# What is quoted or in brackets, and longer than this, is somebody's content.
MAX_QUOTE_LENGTH, MAX_GROUP_LENGTH = 60, 40

COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# What comes before the reason.
PREFIXES = re.compile(r".*(?:Exception encountered: |Error encountered:\s)", re.DOTALL)
# What comes behind it.
ENDINGS = re.compile(
    r"(?:Full object config:|Arguments received by |List of objects that could not be loaded|Stack trace|"
    r"Original stack trace|(?<=convert string)(?: to \w+)?:|(?<=invalid literal for )int\(\) with base).*",
    re.DOTALL,
)
# Lines that say where in a program something happened, or introduce others.
NOISE = re.compile(
    r"\s*(?:Traceback \(most|File \"|Detected at node|Graph execution error|Exception encountered when|config=|"
    r"During handling|The above exception|Registered |Execution status|index: \d|<stack |<no |[\^~]+\s*$|$)"
)
FRAME, CARET = re.compile(r"\s*File \""), re.compile(r"\s*[\^~]+\s*$")
# Words for the machine and its programs, where nothing is lost without them.
DROPPED = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |\{\{function_node [^}]*\}\} ?|\[\[\{\{node [^}]*\}\}\]\] ?|\[Op:[^\]]*\]"
    r"(?: name: ?)?| ?(?:on )?/job:\S+| in binary running on \S+| ?(?<![\w/])[\w/]+\.(?:cc|cpp|cu|h|py):\d+\b|"
    r" (?:object )?at 0x[0-9a-fA-F]+"
)
ADDRESS = re.compile(
    r"\b[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s'\"]+|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\b0x[0-9a-fA-F]{6,}\b"
)
QUOTED_PATH = re.compile(r"(?<!\w)b?(['\"])((?:/|\.{1,2}/|~|[A-Za-z]:[\\/]|\\\\)[^'\"\n]*)\1")
PATH = re.compile(r"(?<![\w/.)\]])(?:~|\.{1,2})?(?:/[^\s/'\"<>|:;,()\[\]{}]+)+/?")
RELATIVE = re.compile(r"(?<![\w/.-])[\w.-]+/[\w./-]*\.[A-Za-z]\w{0,7}\b")
WINDOWS = re.compile(r"(?:\b[A-Za-z]:\\|\\\\)[^\s'\"<>|]+")
CONTENT = re.compile(
    r"\bb'(?:[^'\\]|\\.)*'|\bb\"(?:[^\"\\]|\\.)*\"|(?:\\x[0-9a-fA-F]{2}){2,}|\b[0-9a-fA-F]{24,}\b|"
    r"(?:\b[0-9a-fA-F]{2}[ :]){8,}|[A-Za-z0-9+/=]{60,}"
)
QUOTED = re.compile(r"(?<!\w)(['\"])([^'\"\n]*)\1")
LEFT_OUT = "…"


def redact(text: str, limit: int = 300) -> str:
    """Return what a message says as one line without paths, addresses, contents of files and traces of programs.

    Of a path its last part is left, so that a file is still known by its name. Of several lines that are longer
    together than allowed, the last one is taken, which usually says why.

    Args:
        text: the message.
        limit: the most characters, before a sign that something was left out.
    """
    text = COLOURS.sub("", text if len(text) <= 2 * MAX_LENGTH else f"{text[:MAX_LENGTH]}\n{text[-MAX_LENGTH:]}")
    # Only a text that is one quotation as a whole.
    whole = re.fullmatch(r"'([^']*)'|\"([^\"]*)\"", text)
    lines = list(telling((whole[1] or whole[2] or "") if whole else text))
    line = " ".join(lines)
    if len(line) > limit and lines:
        line = lines[-1]
    return line if len(line) <= limit else f"{line[:limit]}{LEFT_OUT}"


def telling(text: str) -> Iterator[str]:
    """Yield the lines of a message that give its reason, each without what it must not hold."""
    introduced = PREFIXES.match(text)
    lines = ENDINGS.sub("", text[introduced.end() :] if introduced else text).splitlines()
    for index, line in enumerate(lines):
        # The line of a program behind its place, and the line of a file above the mark that points into it.
        source = index > 0 and FRAME.match(lines[index - 1]) and line.startswith("    ")
        pointed = index + 1 < len(lines) and CARET.match(lines[index + 1])
        if NOISE.match(line) or source or pointed:
            continue
        if cleaned := clean(line):
            yield cleaned


def clean(line: str) -> str:
    """Return one line without paths, addresses and contents."""
    line = "".join(letter if letter.isprintable() else " " for letter in line)
    line = ADDRESS.sub(LEFT_OUT, DROPPED.sub("", line))
    line = QUOTED_PATH.sub(lambda found: f"{found[1]}{name(found[2])}{found[1]}", line)
    for paths in (WINDOWS, PATH, RELATIVE):
        line = paths.sub(lambda found: name(found[0]), line)
    line = CONTENT.sub(LEFT_OUT, shortened(line))
    line = QUOTED.sub(
        lambda found: found[0] if len(found[2]) <= MAX_QUOTE_LENGTH else f"{found[1]}{LEFT_OUT}{found[1]}", line
    )
    return " ".join(line.split()).rstrip(" :")


def name(path: str) -> str:
    """Return the last part of a path."""
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or LEFT_OUT


def shortened(line: str) -> str:
    """Return a line in which long lists and dictionaries are left out."""
    pieces, opened, start, kept = list[str](), 0, 0, 0
    for place, letter in enumerate(line):
        if letter in "[{":
            start = start if opened else place
            opened += 1
        elif letter in "]}" and opened:
            opened -= 1
            if not opened and place - start > MAX_GROUP_LENGTH:
                pieces += [line[kept : start + 1], LEFT_OUT]
                kept = place
    # One that never ends was cut off.
    if opened and len(line) - start > MAX_GROUP_LENGTH:
        return "".join([*pieces, line[kept : start + 1], LEFT_OUT])
    return "".join([*pieces, line[kept:]])
