"""Opened slides: levels, the Deep Zoom grid, readers, the slide cache."""
