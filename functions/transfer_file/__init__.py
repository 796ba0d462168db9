"""The step that has DataSync bring a file in."""
