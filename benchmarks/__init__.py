"""Measure the product's speed and accuracy; each script's docstring says how to repeat its figures."""
