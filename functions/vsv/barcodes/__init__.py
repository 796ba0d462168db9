"""Barcodes of labels: read, and repaired where they are damaged."""
