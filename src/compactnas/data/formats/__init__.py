"""Formats of data on disk: one module for each, which the registry `FORMATS` finds by its file name.

To add a format, add `formats/NAME.py` with a constant `FORMAT`; `data.format: NAME` and `auto` then know it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from compactnas.config import DATA_FORMATS, DataConfig
from compactnas.data.source import Source
from compactnas.errors import UserError
from compactnas.registry import Registry


@dataclass(frozen=True)
class DataFormat:
    """A layout of patches on disk; its name is that of its module.

    Attributes:
        title: Name of such a source in messages, such as "an .npz file".
        detect: Tells from a path's name and content whether it has this format; the path exists.
        open: Opens the patches that a config names; raises a `UserError` for broken input.
        streams: Whether patches can be read from disk a batch at a time; otherwise, `open` reads all of them.
        options: Fields of `DataConfig` that only this format understands.
        fallback: Whether `detect` is tried only after those of all other formats.
    """

    title: str
    detect: Callable[[Path], bool]
    open: Callable[[DataConfig], Source]
    streams: bool = True
    options: tuple[str, ...] = ()
    fallback: bool = False


FORMATS: Registry[DataFormat] = DATA_FORMATS
"""Formats by name; `FORMATS.add` takes one that is defined elsewhere."""

AUTO = "auto"


def format_of(config: DataConfig) -> str:
    """Name of the format that a config asks for, or that `auto` detects at its path.

    Raises:
        UserError: The path is missing, or no format recognises it.
    """
    if config.format != AUTO:
        return config.format
    path = Path(config.path)
    titles = ", ".join(known.title for known in FORMATS.values())
    if not config.path:
        raise UserError(f"data.path: is not set; give one of: {titles}")
    if not path.exists():
        raise UserError(
            f"data.path: {path} does not exist; check the spelling, or pass --data.path if the data has moved"
        )
    for name, known in sorted(FORMATS.items(), key=lambda item: item[1].fallback):
        if known.detect(path):
            return name
    raise UserError(f"data.path: the format of {path} is unknown; give one of: {titles}; or set data.format")


def require_own_options(config: DataConfig, name: str) -> None:
    """Refuse an option that only other formats have, unless it is left at its default.

    Raises:
        UserError: An option has another value than its default.
    """
    defaults = {field.name: field.default for field in fields(DataConfig) if field.default is not MISSING}
    for other, known in FORMATS.items():
        for option in known.options:
            value = getattr(config, option)
            if option not in FORMATS[name].options and value != defaults[option]:
                raise UserError(
                    f"data.{option}: {value!r} is an option of the format `{other}`, but {config.path} is read as "
                    f"`{name}`; leave it out, or set data.format"
                )
