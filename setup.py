"""What pyproject.toml can't state: the documentation, which the server shows, is copied into the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

DOCS = Path(__file__).parent / "docs"
SHOWN = ("*.md", "visualizations/*.md", "*.svg", "images/**/*.*", "plugins/*.*")


def copy_documentation(folder: Path) -> None:
    """Copy the pages, and the files that they show, into a folder."""
    for file in (path for pattern in SHOWN for path in DOCS.glob(pattern)):
        copy = folder / file.relative_to(DOCS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


class BuildWithDocumentation(build_py):
    """Copies docs/ to picasso/documentation/; an editable installation reads docs/ itself."""

    def run(self) -> None:
        """Build the package, then copy."""
        super().run()
        if not self.editable_mode:
            copy_documentation(Path(self.build_lib, "picasso", "documentation"))


setup(cmdclass={"build_py": BuildWithDocumentation})
