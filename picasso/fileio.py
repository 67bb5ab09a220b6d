"""Small files that several processes share: written whole or not at all, under names that can't leave a folder."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from picasso.errors import BadRequest, ConfigurationError, StorageFull

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no such locks
    fcntl = None  # type: ignore[assignment]

# The prefix of the folder of a process, and the file in it that the process locks while it is running.
PREFIX, CLAIM = "picasso-", "claim"
NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,80}")


def readable_json(document: Any, indent: int | None = None) -> bytes:
    """Return a document whose texts are for people as JSON in UTF-8.

    Texts of others may hold halves of letters (lone surrogates), which no page could send; a question mark is put
    there.

    Raises:
        ValueError: it holds NaN or infinity.
        TypeError: it holds something that is no plain value.
    """
    text = json.dumps(document, allow_nan=False, ensure_ascii=False, indent=indent)
    return text.encode("utf-8", "replace")


def is_full(error: OSError) -> bool:
    """Tell whether an error says that the disk, or what one may use of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def room_on_disk() -> Iterator[None]:
    """Turn "no space left" into an error that the user can understand.

    Raises:
        StorageFull: the disk is full, or what one may use of it.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise StorageFull("The server's disk is full. Nothing was stored.") from error
        raise


def read_document(file: Path) -> dict[str, Any]:
    """Return the object in a file of JSON, or an empty one if it holds none: a file that anything may have written."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(file: Path, document: Any) -> None:
    """Replace ``file`` atomically: a reader sees the old document or the new one, never half of one."""
    write_bytes(file, json.dumps(document, allow_nan=False).encode())


def write_bytes(file: Path, body: bytes) -> None:
    """Replace ``file`` atomically."""
    with whole(file) as draft:
        draft.write_bytes(body)


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """Yield a path to write to; it becomes ``file`` where all goes well, and is gone where it does not."""
    draft = file.with_name(f".{os.getpid()}.{secrets.token_hex(4)}.{file.name}")
    try:
        yield draft
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder to write into; it becomes ``folder`` where all goes well, and is gone where it does not.

    The parent must exist: what another process has deleted must not come back.
    """
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.mkdir()
    try:
        yield draft
        draft.replace(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def remove(folder: Path, trash: Path) -> None:
    """Delete a folder, if it is there: it disappears at once and whole, whoever still writes into it.

    Args:
        folder: on the same disk as ``trash``.
        trash: the folder in which it is taken apart.
    """
    shutil.rmtree(set_aside(folder, trash), ignore_errors=True)


def set_aside(folder: Path, trash: Path) -> Path:
    """Let a folder disappear at once and whole; return where it is, to be taken apart."""
    gone = trash / f"{folder.name}-{secrets.token_hex(4)}"
    try:
        trash.mkdir(exist_ok=True)
        folder.rename(gone)
    except OSError:
        gone = folder
    return gone


def read_json(file: Path) -> Any:
    """Return the document in ``file``, or None if there is no such file."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def child(folder: Path, name: str) -> Path | None:
    """Return the regular file called ``name`` directly in ``folder``, or None; never a link or another folder's."""
    file = folder / name
    if NAME.fullmatch(name) and file.is_file() and not file.is_symlink():
        return file
    return None


def make_folder(out: Path) -> None:
    """Create the output folder of a command, if it does not exist.

    Raises:
        BadRequest: it can't be created.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(f"The output folder {out} can't be created: {error.strerror}.", field="--out") from error


def free_path(out: Path, name: str, suffix: str = "") -> Path:
    """Return ``out/name``, or a numbered variant if it exists, so that nothing is overwritten.

    With a suffix such as ``.png``, return the path of a file with that suffix.

    Raises:
        BadRequest: the folder ``out`` can't be created.
    """
    make_folder(out)
    candidate = out / f"{name}{suffix}"
    for number in itertools.count(1):
        if not candidate.exists():
            break
        candidate = out / f"{name}-{number}{suffix}"
    return candidate


def size(folder: Path) -> int:
    """Return how many bytes the files in a folder and below take; files that disappear during the count are ignored."""
    total, waiting = 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(Path(entry.path))
                    else:
                        total += status.st_size
        except OSError:
            continue
    return total


def own_folder(parent: Path | None) -> tuple[Path, IO[bytes]]:
    """Make a folder for the temporary files of this process, and delete those of processes that were killed.

    Args:
        parent: the folder to make it in, which need not exist; None for that of the system.

    Returns:
        The folder, which the caller deletes, and the lock on it.

    Raises:
        ConfigurationError: no folder can be made there.
    """
    try:
        if parent:
            parent.mkdir(parents=True, exist_ok=True)
        remove_orphans(parent or Path(tempfile.gettempdir()))
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        return folder, claim(folder / CLAIM)
    except OSError as error:
        place = parent or tempfile.gettempdir()
        raise ConfigurationError(
            f"No folder for temporary files can be made in {place}: {error.strerror}. Choose a folder to which you can "
            "write and whose disk has space, in WORK_DIR or, for the engine folder:PATH, in ENGINE."
        ) from error


def remove_orphans(parent: Path) -> None:
    """Delete the folders of processes that ended without cleaning up, for example because they were killed."""
    for file in parent.glob(f"{PREFIX}*/{CLAIM}"):
        if is_unclaimed(file):
            shutil.rmtree(file.parent, ignore_errors=True)


def claim(file: Path) -> IO[bytes]:
    """Make a file and hold a lock on it until it is closed, or this process ends in whatever way."""
    # Locked before it has its name: nobody ever finds it without its lock.
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    held = draft.open("wb")
    if fcntl:
        fcntl.flock(held, fcntl.LOCK_EX)
    draft.rename(file)
    return held


def is_unclaimed(file: Path) -> bool:
    """Tell whether no process holds the lock on a file; where there are no locks, nobody can tell."""
    if not fcntl:
        return False
    try:
        with file.open("rb") as asked:
            fcntl.flock(asked, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
