"""The one kind of error that is the user's to mend."""


class UserError(ValueError):
    """Bad input from outside: one line that says what is wrong, where, and what to do next.

    The command line prints it without a traceback and exits with code 2. Broken
    invariants of our own are `assert`s instead.
    """


class ToldError(UserError):
    """A `UserError` of a run of several processes that another of them tells."""
