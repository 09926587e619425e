"""`python -m compactnas`."""

from compactnas.cli import entry

if __name__ == "__main__":  # a process that is spawned imports this module too
    entry()
