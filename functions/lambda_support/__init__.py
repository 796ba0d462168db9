"""What Lambda handlers share: HTTP events and responses, observability, batches of jobs."""
