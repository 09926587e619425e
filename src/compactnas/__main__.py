"""`python -m compactnas`."""

from compactnas.cli import entry

entry()
