"""`python -m compactnas`."""

from compactnas.cli import entry

if __name__ == "__main__":  # spawned processes import this module too
    entry()
