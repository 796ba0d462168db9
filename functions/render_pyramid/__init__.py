"""Render the missing levels: a step of an import."""
