"""Provide the command line ``vsv``."""
