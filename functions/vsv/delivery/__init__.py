"""Delivery of slides' metadata to a lab's registries."""
