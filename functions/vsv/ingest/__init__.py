"""The way in: receiving a file, validation, extraction, the steps of an import."""
