"""Serve Deep Zoom."""
