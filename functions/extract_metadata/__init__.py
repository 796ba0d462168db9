"""Step of an import: a slide and its record."""
