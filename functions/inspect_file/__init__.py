"""Check a transferred file: a step of an import."""
