"""Errors that the user can fix."""

import difflib
import unicodedata
from collections.abc import Sequence

MOST_LETTERS = 1000
"""Maximum length of a message; names from files can have any length."""


class UserError(ValueError):
    """Invalid input. The message is one line that says what is wrong, where, and what to do next.

    The command line prints it without a traceback and exits with code 2. Broken invariants of the code raise
    `AssertionError` instead. Characters that cannot be printed are replaced, because a name in a file could contain
    terminal codes, and the middle of a long message is left out.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(_one_line(message))


class AlreadyReportedError(UserError):
    """A `UserError` that another process of the same run reports."""


def _one_line(message: str) -> str:
    if len(message) > MOST_LETTERS:
        half = MOST_LETTERS // 2
        message = f"{message[:half]} ... {message[-half:]}"
    if message.isprintable():
        return message
    line = " ".join(message.split())
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in HIDDEN else c for c in line)


HIDDEN = ("Cc", "Cf", "Cs")
"""Unicode categories of control characters, changes of text direction, and surrogates."""


def suggestion(word: str, known: Sequence[str]) -> str:
    """Suggest the known name closest to a misspelt word, or list all known names."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"
