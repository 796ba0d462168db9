"""A made-up Aperio slide."""
