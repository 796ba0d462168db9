"""Serve the images that show a patient's label."""
