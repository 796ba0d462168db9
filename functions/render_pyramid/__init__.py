"""Step of an import: the missing levels."""
