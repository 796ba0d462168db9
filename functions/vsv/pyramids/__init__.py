"""Rendering of the levels that a slide lacks."""
