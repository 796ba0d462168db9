"""The domain that all functions share; it knows no HTTP and no Lambda."""
