"""Find the entries of a package by file name: to add an operation, a strategy or a command, add a file.

A registry lists the modules of a package without importing them, so that names can be checked and printed without
torch. A module is imported when its entry is first used. Modules whose names start with an underscore are helpers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Generic, TypeVar

from compactnas.errors import UserError, suggestion

Entry = TypeVar("Entry")

ROOT = Path(__file__).parent


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries of a package: module NAME holds the entry NAME in a constant.

    Args:
        kind: Word for an entry in messages, such as "operation".
        package: Package that holds the modules, such as "compactnas.nn.operations".
        constant: Name of the constant in each module, such as "OPERATION".
        first: Names to list first, in this order; the others follow alphabetically.
    """

    def __init__(self, kind: str, package: str, constant: str, first: tuple[str, ...] = ()) -> None:
        self.kind, self.package, self.constant, self.first = kind, package, constant, first
        self._entries: dict[str, Entry] = {}

    @cached_property
    def _modules(self) -> tuple[str, ...]:
        folder = ROOT.joinpath(*self.package.split(".")[1:])
        found = sorted(module.name for module in iter_modules([str(folder)]) if not module.name.startswith("_"))
        return (*self.first, *(name for name in found if name not in self.first))

    def add(self, name: str, entry: Entry) -> None:
        """Add an entry from outside the package, for example from a notebook."""
        if name in self:
            raise UserError(f"{self.kind} {name!r} exists already; choose another name")
        self._entries[name] = entry

    def require(self, name: str, where: str) -> None:
        """Check a name without importing its module; `where` is the option or file with the name.

        Raises:
            UserError: No entry has this name.
        """
        if name not in self:
            raise UserError(f"{where}: unknown {self.kind} {name[:80]!r}; {suggestion(name, tuple(self))}")

    def __getitem__(self, name: str) -> Entry:
        if name not in self:
            raise KeyError(name)
        if name not in self._entries:
            module = import_module(f"{self.package}.{name}")
            assert hasattr(module, self.constant), (
                f"{self.package}.{name} defines no {self.constant}; the name of a helper begins with an underscore"
            )
            self._entries[name] = getattr(module, self.constant)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._modules or name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter((*self._modules, *(name for name in self._entries if name not in self._modules)))

    def __len__(self) -> int:
        return len(tuple(iter(self)))


def deferred(module: str, name: str, **options: Any) -> Callable[..., Any]:
    """Make a function that calls something of a module, and imports the module only then.

    Entries of operations and baselines are read for their labels and colours, which must not import torch.

    Args:
        module: Name of the module.
        name: Name of the function or class in the module.
        options: Keyword arguments of each call.
    """
    return partial(_called, module, name, **options)


def _called(module: str, name: str, *values: Any, **options: Any) -> Any:
    return getattr(import_module(module), name)(*values, **options)


DRAWINGS: Registry[Callable[[Any], str]] = Registry("drawing", "compactnas.reporting.drawings", "DRAWING")
"""Functions that draw an object as HTML for a notebook. Objects find their own here, because they lie below figures."""
