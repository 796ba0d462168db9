"""Back up a data folder, and restore it."""
