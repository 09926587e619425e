"""Folder of a classifier's run: temporary or named, and copied with the classifier when that is pickled."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

KEPT = (".json", ".jsonl", ".yaml", ".npz", ".safetensors")
"""Suffixes of the files that a copy keeps: all but the checkpoints of finished stages."""


class RunHome:
    """Folder of a run that lives as long as its classifier, unless the user named it.

    A pickled home holds the files of the run, and unpickling writes them to a temporary folder.

    Args:
        named: Folder that the user named; None makes a temporary one.
    """

    def __init__(self, named: Path | None = None) -> None:
        if named is None:
            temporary = Path(tempfile.mkdtemp(prefix="compactnas-"))
            weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)
            named = temporary / "run"
        self.path = named

    def files(self) -> dict[str, bytes]:
        """Content of each kept file by its path inside the folder."""
        found = (file for file in sorted(self.path.rglob("*")) if file.suffix in KEPT and file.is_file())
        return {file.relative_to(self.path).as_posix(): file.read_bytes() for file in found}

    def fill(self, files: dict[str, bytes]) -> None:
        """Write files into the folder."""
        for name, content in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self.fill(state["files"])
