"""Check annotated arguments and results while tests run, shapes included, in less time.

jaxtyping's import hook binds the arguments of every call and checks them twice, for better messages. Here, each
argument is checked once, and functions without shapes are checked by beartype alone.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import jaxtyping

JAXTYPED = jaxtyping.jaxtyped


def evaluate(annotation: object, names: dict[str, Any]) -> object:
    """Evaluate an annotation that is text; return `Any` if a name is unknown at run time, as in jaxtyping."""

    def holder() -> None: ...

    holder.__annotations__ = {"value": annotation}
    try:
        return get_type_hints(holder, names, include_extras=True)["value"]
    except Exception:  # noqa: BLE001  # as jaxtyping does
        return Any


def has_shapes(annotation: object) -> bool:
    """Check whether an annotation contains a jaxtyping type."""
    parts = annotation if isinstance(annotation, list | tuple) else get_args(annotation)
    return type(annotation).__module__.startswith("jaxtyping") or any(map(has_shapes, parts))


def jaxtyped(*, typechecker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Replace `jaxtyping.jaxtyped` in modules that the import hook loads."""

    def decorate(checked: Any) -> Any:
        if not inspect.isfunction(checked):
            return JAXTYPED(checked, typechecker=typechecker)
        names = checked.__globals__
        checked.__annotations__ = {name: evaluate(value, names) for name, value in checked.__annotations__.items()}
        typed = typechecker(checked)
        return in_context(typed) if any(map(has_shapes, checked.__annotations__.values())) else typed

    return decorate


def in_context(typed: Callable[..., Any]) -> Callable[..., Any]:
    """Check that the named sizes in a function's shapes agree within each call."""

    @functools.wraps(typed)
    def checked(*args: Any, **kwargs: Any) -> Any:
        with JAXTYPED("context"):
            return typed(*args, **kwargs)

    return checked


def check_annotations(package: str) -> None:
    """Check every annotated function of a package in later imports."""
    jaxtyping.jaxtyped = jaxtyped
    jaxtyping.install_import_hook(package, "beartype.beartype")
