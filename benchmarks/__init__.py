"""Figures that anyone can print again: each script says how."""
