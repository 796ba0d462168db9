"""Rendering of pyramid levels that a slide's file does not hold."""
