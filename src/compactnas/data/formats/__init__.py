"""What can be read: a module for each layout on disk, all giving the same `Source`."""
