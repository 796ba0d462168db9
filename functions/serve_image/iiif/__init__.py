"""The IIIF Image and Presentation APIs."""
