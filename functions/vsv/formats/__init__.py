"""File formats, read and written: TIFF, JPEG, JPEG 2000, Aperio's descriptions."""
