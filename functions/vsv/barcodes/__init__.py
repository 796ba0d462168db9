"""Barcodes of labels: reading, and repair of damaged codes."""
