"""Share code between Lambda handlers: HTTP events and responses, observability, batches of jobs."""
