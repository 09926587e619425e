"""Formats of data on disk, one per module; the registry `FORMATS` finds them by file name.

To add a format, add `formats/NAME.py` with a constant `FORMAT`. It is then available as `data.format: NAME`, and
`auto` detects it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from compactnas.config import DATA_FORMATS, SPLIT_FIELDS, DataConfig
from compactnas.data.source import Source
from compactnas.errors import UserError
from compactnas.io.paths import exists
from compactnas.registry import Registry


@dataclass(frozen=True)
class DataFormat:
    """Layout of patches on disk, named after its module.

    Attributes:
        title: Name of such a source in messages, such as "an .npz file".
        detect: Function that checks the name and content of an existing path for this format.
        open: Function that opens the patches that a config names; it raises a `UserError` for broken input.
        streams: Whether patches can be read from disk a batch at a time; otherwise, `open` reads all of them.
        options: Fields of `DataConfig` that only this format uses.
        fallback: Whether to try `detect` only after all other formats.
        verify: Function that checks all files against stored checksums, and returns a line that says so.
    """

    title: str
    detect: Callable[[Path], bool]
    open: Callable[[DataConfig], Source]
    streams: bool = True
    options: tuple[str, ...] = ()
    fallback: bool = False
    verify: Callable[[DataConfig], str] | None = None


FORMATS: Registry[DataFormat] = DATA_FORMATS
"""Formats by name; `FORMATS.add` adds one that is defined elsewhere."""

AUTO = "auto"


def format_of(config: DataConfig) -> str:
    """Return the name of the format that a config sets, or that `auto` detects at its path.

    Raises:
        UserError: The path is missing, or no format recognises it.
    """
    if config.format != AUTO:
        return config.format
    path = Path(config.path)
    if config.path and not exists(path):  # before the formats and their libraries are imported
        raise UserError(
            f"data.path: {path} does not exist; check the spelling, or pass --data.path if the data has moved"
        )
    if not config.path:
        raise UserError(f"data.path: is not set; give one of: {_titles()}")
    if not (path.is_file() or path.is_dir()):
        raise UserError(f"data.path: {path} is neither a file nor a folder; give one of: {_titles()}")
    for fallback in (False, True):
        for name, known in FORMATS.items():  # each is imported when its turn comes
            if known.fallback is fallback and known.detect(path):
                return name
    raise UserError(f"data.path: the format of {path} is unknown; give one of: {_titles()}; or set data.format")


def _titles() -> str:
    """List what the formats are called."""
    return ", ".join(known.title for known in FORMATS.values())


def require_own_options(config: DataConfig, name: str) -> None:
    """Refuse options of other formats, unless they are left at their defaults.

    Raises:
        UserError: An option of another format is set.
    """
    changed = {field.name for field in fields(DataConfig) if getattr(config, field.name) != field.default}
    changed -= {"path", "format", *SPLIT_FIELDS, *FORMATS[name].options}
    if not changed:
        return  # so that most data needs the module of its own format only
    for other, known in FORMATS.items():
        for option in known.options:
            if option in changed:
                raise UserError(
                    f"data.{option}: {getattr(config, option)!r} is an option of the format `{other}`, but "
                    f"{config.path} is read as `{name}`; leave it out, or set data.format"
                )
