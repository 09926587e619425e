"""What a search chooses from and what it finds; no torch."""
