"""Make an artificial Aperio slide."""
