"""The command line vsv."""
