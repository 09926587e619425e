"""Configs of plain values."""

from __future__ import annotations

from typing import Any, TypeVar

from compactnas.outside import require_plain

Config = TypeVar("Config")


def from_values(kind: type[Config], values: dict[str, Any], defaults: dict[str, Any] | None = None) -> Config:
    """A config dataclass of plain values, as a YAML file gives them; what it does not give is the default.

    Errors:
        TypeError: an unknown name, or a value of another kind.
        UserError: a value that the config refuses.
    """
    from jsonargparse import ArgumentError, ArgumentParser  # late: a fifth of a second that a library user may not need

    require_plain(kind, values)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, None)
    parser.set_defaults(defaults or {})
    try:
        return kind(**vars(parser.instantiate(parser.parse_object(values))))
    except ArgumentError as error:
        raise TypeError(str(error)) from None
    except RecursionError:
        raise TypeError("a value is nested too deeply") from None
