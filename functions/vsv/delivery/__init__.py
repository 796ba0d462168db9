"""Slides' metadata, sent to a lab's registries."""
