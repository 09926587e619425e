"""The one kind of error that is the user's to mend."""

import difflib
import unicodedata
from collections.abc import Sequence

MOST_LETTERS = 1000
"""Of a message: names in it come from files, and can be of any length."""


class UserError(ValueError):
    """Bad input from outside: one line that says what is wrong, where, and what to do next.

    The command line prints it without a traceback and exits with code 2. Broken
    invariants of our own are `assert`s instead. What is not printable is replaced (a name in a
    file must not steer the terminal), and the middle of a long message is left out.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(_one_line(message))


class AlreadyReportedError(UserError):
    """A `UserError` of a run of several processes that another of them tells."""


def _one_line(message: str) -> str:
    if len(message) > MOST_LETTERS:
        half = MOST_LETTERS // 2
        message = f"{message[:half]} ... {message[-half:]}"
    if message.isprintable():
        return message
    line = " ".join(message.split())
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in HIDDEN else c for c in line)


HIDDEN = ("Cc", "Cf", "Cs")
"""Control characters, those that turn the order of letters around, and halves of characters."""


def suggestion(word: str, known: Sequence[str]) -> str:
    """Suggest the name that a misspelt word stands for, or list the known names."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"
