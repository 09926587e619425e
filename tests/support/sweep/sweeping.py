"""Interrupt a command at its file operations, give it again, and compare what it makes with the undisturbed result.

A process killed with -9 leaves the folder as it was before the operation that the kill prevented. So the undisturbed
command is recorded once, with the state of the folder before each operation, and each state is given to the same
command. A few real kills check this shortcut.
"""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from support.sweep.cases import Case
from support.sweep.copies import full_at
from support.sweep.shim import CHANGING, NEEDING_SPACE, OPENING, Act, Interruption, Kinds
from support.sweep.state import State, clear, difference, fingerprint
from support.sweep.warm import Ended, Warm

MOST = 400
"""Largest number of points of a fault; with more operations they are spread evenly."""
REAL_KILLS = 5
"""Points at which what a shortcut gives is compared with what really happens."""
SPARSE = 8
"""One of so many operations is tried with the rarer faults."""

KILL, REAL_KILL, FULL, DAMAGED, OPEN_FILES = "kill", "real kill", "ENOSPC", "EIO", "EMFILE"
FAULTS = (KILL, REAL_KILL, FULL, DAMAGED, OPEN_FILES)

SAME, REFUSED, UNNOTICED, WRONG = "same", "refused", "unnoticed", "WRONG"
"""Outcomes: the same files afterwards; refused in one line with nothing lost; no harm was done; a fault of ours."""


@dataclass
class Recorded:
    """Undisturbed run of a command.

    Attributes:
        operations: Kind and path of each operation below the inputs and the place.
        states: State of the place before each operation that may change it.
        final: State of the place at the end.
        seconds: Time that an undisturbed run takes.
    """

    operations: list[str] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    final: State = field(default_factory=lambda: State({}))
    seconds: float = 0.0

    def of(self, kinds: Kinds, place: str = "/place") -> list[str]:
        """Operations of some kinds below a folder."""
        names = {kind.name.lower() for kind in kinds if kind.name} | ({"list"} if Kinds.READ in kinds else set())
        found = (line.split(" ", 1) for line in self.operations)
        return [f"{kind} {path}" for kind, path in found if kind in names and path.startswith(place)]


@dataclass(frozen=True)
class Point:
    """What became of a command that was interrupted once.

    Attributes:
        command: Name of the command.
        fault: What happened to it.
        at: Number of the operation.
        operation: The operation.
        outcome: What came of it.
        detail: What was wrong, or the line that it printed.
        state: Hash of the state that the same command was given, if it was.
        tried: Whether the state was new, so that the command was given again.
        seconds: Time that the point took.
    """

    command: str
    fault: str
    at: int
    operation: str
    outcome: str
    detail: str = ""
    state: str = ""
    tried: bool = False
    seconds: float = 0.0


def record(warm: Warm, case: Case, *, repeats: bool = True) -> Recorded:
    """Run a command undisturbed: to learn its imports, to record it, and, with `repeats`, to measure its time."""
    modules, found = warm.folder / "modules.json", Recorded()
    require_done(warm.finish(case.call, modules=modules))
    first = State.of(case.place)
    warm.learn(modules, case.prime, case.again)
    clear(case.place)
    require_done(warm.finish(case.call, modules=modules))
    warm.learn(modules, "", case.again)  # what is kept is known only once its modules are imported
    clear(case.place)
    kinds = {kind.name.lower() for kind in CHANGING if kind.name}
    before = f"/{case.place.name}/"

    def told(line: str) -> None:
        kind, path = line.split(" ", 1)
        found.operations.append(line)
        if kind in kinds and f"{path}/".startswith(before):
            found.states.append(State.of(case.place))

    watched = Interruption(Act.TELL_ALL, case.place.parent, kinds=CHANGING | Kinds.READ)
    require_done(warm.finish(case.call, watched, told))
    found.final = State.of(case.place)
    clear(case.place)
    again = [first]
    if repeats:
        found.seconds = require_done(warm.finish(case.call)).seconds
        again.append(State.of(case.place))
    for state in again:
        different = difference(state, found.final)
        assert not different, f"{case.name} does not repeat itself: {different}"
    return found


def require_done(ended: Ended) -> Ended:
    """Check that a command has done its work."""
    assert ended.code == 0, ended.err
    return ended


def spread(operations: int, most: int = MOST, every: int = 1, first: int = 0) -> list[int]:
    """Choose operations evenly; of these, one of `every` from `first` on."""
    most = min(most, operations)
    return [place * operations // most for place in range(most)][first::every]


class Sweep:
    """Points of one command."""

    def __init__(
        self, warm: Warm, case: Case, recorded: Recorded, known: dict[str, tuple[str, str]] | None = None
    ) -> None:
        self.warm, self.case, self.recorded = warm, case, recorded
        self.known = {} if known is None else known
        """Outcome of each state that the command was given."""
        self.copied: dict[int, tuple[Ended, State]] = {}
        """End and state of copies of one run, by the operation at which the disk became full."""
        self.checked: set[int] = set()
        """Operations at which a copy is compared with a run of its own."""

    def points(
        self, faults: Sequence[str], every: int = 1, first: int = 0, done: set[tuple[str, int]] = frozenset()
    ) -> Iterator[Point]:  # type: ignore[assignment]
        """Try the points of some faults that are not done."""
        for fault in faults:
            wanted = [at for at in self.chosen(fault, every, first) if (fault, at) not in done]
            if fault == FULL and wanted:
                kinds, _ = self.counted(fault)
                self.checked = set(wanted[:: max(SPARSE, len(wanted) // REAL_KILLS)])
                self.copied = full_at(self.warm, self.case, kinds, errno.ENOSPC, wanted, self.recorded.final)
            for at in wanted:
                began = time.monotonic()
                point = self.tried(fault, at)
                yield Point(**asdict(point) | {"seconds": round(time.monotonic() - began, 2)})

    def chosen(self, fault: str, every: int, first: int) -> list[int]:
        """Numbers of the operations to interrupt."""
        total = len(self.recorded.of(*self.counted(fault)))
        if fault == REAL_KILL:
            return spread(total, REAL_KILLS)[:: min(every, 3)]
        return spread(total, MOST, every * (SPARSE if fault in (DAMAGED, OPEN_FILES) else 1), first)

    def counted(self, fault: str) -> tuple[Kinds, str]:
        """Kinds of operations that can have a fault, and the folder in which they count."""
        if fault == FULL:
            return NEEDING_SPACE, "/place"
        if fault == OPEN_FILES:
            return OPENING, ""
        return (CHANGING & ~Kinds.LOCK if fault == DAMAGED else CHANGING), "/place"

    def tried(self, fault: str, at: int) -> Point:
        """Interrupt the command at one operation, and give it again."""
        kinds, below = self.counted(fault)
        operation = self.recorded.of(kinds, below)[at]
        if fault == KILL:
            state = self.recorded.states[at]
            outcome, detail, new = self.given(state, restore=True)
            return Point(self.case.name, fault, at, operation, outcome, detail, fingerprint(state), new)
        copied = self.copied.get(at) if fault == FULL else None
        ended, state = self.interrupted(fault, at) if copied is None or at in self.checked else copied
        wrong = self.fault_of(fault, at, ended, state)
        if copied is not None and (copied[0].code, fingerprint(copied[1])) != (ended.code, fingerprint(state)):
            wrong = f"a copy left another state: {copied[0].code}, {difference(copied[1], state)}"
        if wrong:
            return Point(self.case.name, fault, at, operation, WRONG, wrong)
        if ended.code == 0:
            return Point(self.case.name, fault, at, operation, UNNOTICED)
        outcome, detail, new = self.given(state, restore=fault == FULL, always=fault == REAL_KILL)
        detail = detail or ended.error
        return Point(self.case.name, fault, at, operation, outcome, detail, fingerprint(state), new)

    def interrupted(self, fault: str, at: int) -> tuple[Ended, State]:
        """Interrupt the command, and return its end and the state that it left."""
        kinds, below = self.counted(fault)
        clear(self.case.place)
        root = self.case.place if below else self.case.place.parent
        act, error = {
            REAL_KILL: (Act.KILL, 0),
            FULL: (Act.FAIL_FROM, errno.ENOSPC),
            DAMAGED: (Act.FAIL, errno.EIO),
            OPEN_FILES: (Act.FAIL_FROM, errno.EMFILE),
        }[fault]
        ended = self.warm.finish(self.case.call, Interruption(act, root, at, error, kinds))
        return ended, State.of(self.case.place)

    def fault_of(self, fault: str, at: int, ended: Ended, state: State) -> str:
        """Say what is wrong with the end of an interrupted command; empty if nothing is."""
        if fault == REAL_KILL:
            if ended.code != -9:
                return f"was not killed, but ended with {ended.code}"
            same = fingerprint(state) == fingerprint(self.recorded.states[at])
            return "" if same else f"the kill left another state: {difference(state, self.recorded.states[at])}"
        if ended.code == 0:
            different = difference(state, self.recorded.final)
            return different and f"ended well, but: {different}"
        return "" if ended.code == 2 and ended.error else f"ended with {ended.code}: {ended.err.strip()[-600:]}"

    def given(self, state: State, *, restore: bool = False, always: bool = False) -> tuple[str, str, bool]:
        """Give the command again in a state of its folder.

        Returns:
            The outcome, what was wrong, and whether the state was new.
        """
        name = fingerprint(state)
        if name in self.known and not always:
            return *self.known[name], False
        if restore:
            state.restore(self.case.place)
        ended = self.warm.finish(self.case.resumed)
        after = State.of(self.case.place)
        if ended.code == 0:
            different = difference(after, self.recorded.final)
            found = (WRONG, f"afterwards: {different}") if different else (SAME, "")
        elif (
            ended.code == 2
            and ended.error
            and not (difference(after, state) and difference(after, self.recorded.final))
        ):
            found = REFUSED, ended.error
        else:
            found = WRONG, f"afterwards {ended.code}: {ended.err.strip()[-600:]}"
        self.known[name] = found
        return *found, True


def read_points(file: Path) -> list[Point]:
    """Read the points of an interrupted sweep."""
    if not file.exists():
        return []
    return [Point(**row) for row in map(json.loads, file.read_text().splitlines()) if "fault" in row]
