"""Step of an import: the look at a transferred file."""
