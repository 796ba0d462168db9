"""Serve the IIIF Image and Presentation APIs."""
