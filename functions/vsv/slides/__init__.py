"""Opened slides: levels, the Deep Zoom grid, readers, the cache of slides."""
