"""Start imports of new objects in the drop-in bucket."""
