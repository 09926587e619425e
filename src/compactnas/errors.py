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
    return shown(message)


def shown(text: str) -> str:
    """Make a text from a file one line without characters that control a terminal or that XML does not allow."""
    if text.isprintable():
        return text
    line = " ".join(text.split())
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_hidden(c) else c for c in line)


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in HIDDEN or character in "\ufffe\uffff"


HIDDEN = ("Cc", "Cf", "Cs")
"""Unicode categories of control characters, changes of text direction, and surrogates."""


def suggestion(word: str, known: Sequence[str]) -> str:
    """Suggest the known name closest to a misspelt word, or list all known names."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"
