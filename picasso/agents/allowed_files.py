"""The files that an agent may have read: images below folders that the user named, of limited size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from picasso.config import Settings
from picasso.errors import BadRequest, TooLarge, UnsupportedImage
from picasso.explanation.inputs import NamedImage
from picasso.imaging import decode
from picasso.models.base import Model

# The largest number of characters of a path in a message.
SHOWN = 200


class AllowedFiles:
    """Finds files below some folders; links are followed first, so that none leads out of them.

    Args:
        folders: the folders.
        settings: limit the size of a file and of an image.

    Raises:
        BadRequest: a folder does not exist.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from picasso.agents.allowed_files import AllowedFiles
        >>> from picasso.config import Settings
        >>> from picasso.errors import PicassoError
        >>> files = AllowedFiles([Path(tempfile.mkdtemp())], Settings())
        >>> try:
        ...     files.file("/etc/passwd")
        ... except PicassoError as error:
        ...     print(error.message.partition(" below ")[0])
        There is no file '/etc/passwd'
    """

    def __init__(self, folders: Sequence[Path], settings: Settings) -> None:
        for one in folders:
            if not one.is_dir():
                raise BadRequest(f"There is no folder {one}. Name an existing folder of images.", field="folder")
        self.folders = [one.resolve() for one in folders]
        self._settings = settings

    def file(self, text: str) -> Path:
        """Return the real path of a file.

        Args:
            text: its path, absolute or relative to one of the folders.

        Raises:
            BadRequest: there is no such file below the folders; the message does not say what is elsewhere.
        """
        return self._found(text, Path.is_file) or self._refuse("file", text)

    def folder(self, text: str) -> Path:
        """Return the real path of a folder; arguments and errors are those of :meth:`file`."""
        return self._found(text, Path.is_dir) or self._refuse("folder", text)

    def allows(self, path: Path) -> bool:
        """Tell whether a path, with all links followed, is below one of the folders."""
        real = path.resolve()
        return any(real.is_relative_to(folder) for folder in self.folders)

    def image(self, text: str, model: Model) -> NamedImage:
        """Read an image as the model takes it.

        Raises:
            BadRequest: there is no such file below the folders, or it is damaged.
            TooLarge: the file or the image is larger than the settings allow.
            UnsupportedImage: it is no image.
        """
        path = self.file(text)
        size, most = path.stat().st_size, self._settings.MAX_UPLOAD_MB
        if size > most * 10**6:
            raise TooLarge(f"{path.name} has {size / 10**6:,.0f} MB; at most {most} MB are read (MAX_UPLOAD_MB).")
        try:
            body = path.read_bytes()
        except OSError as error:
            raise BadRequest(f"{path.name} can't be read: {error.strerror}.", field="image") from error
        if not body:
            raise UnsupportedImage(f"{path.name} is an empty file.")
        if model.opens_images():
            return NamedImage(path.name, model.opened(body, path.name))
        decoded = decode.decode(body, path.name, self._settings.MAX_MEGAPIXELS)
        return NamedImage(path.name, decoded.image, decoded.notes)

    def _found(self, text: str, fits: Callable[[Path], bool]) -> Path | None:
        """Return the first path below the folders that a text may mean, or None."""
        try:
            paths = [(folder / text).resolve() for folder in self.folders]
            return next((path for path in paths if self.allows(path) and fits(path)), None)
        except (OSError, ValueError, RuntimeError):
            # A path that is too long, a null character, or a link to itself.
            return None

    def _refuse(self, kind: str, text: str) -> Path:
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
        folders = ", ".join(map(str, self.folders))
        raise BadRequest(
            f"There is no {kind} {shown!r} below the folders that may be read: {folders}. Write a path relative to one "
            "of them; links that lead out of them are refused.",
            field=kind,
        )
