"""The standalone server: HTTP, tiles on the event loop, worker processes, job threads."""
