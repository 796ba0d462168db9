"""The function that sends slides' metadata to the registry."""
