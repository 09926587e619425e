"""Makers of tiny valid sets, one for each data format: module NAME writes a set of the format NAME."""
