"""Interrupt a command at each of its file operations, and see what the same command makes of it afterwards."""
