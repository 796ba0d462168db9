"""Send slides' metadata to the registry."""
