"""The stages of a run: search, train, evaluate and predict. Each reads its input from files and writes files."""
