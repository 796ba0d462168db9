"""Have DataSync transfer a file: a step of an import."""
