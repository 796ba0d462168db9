"""Serve tiles and images: one package per protocol beside the handler."""
