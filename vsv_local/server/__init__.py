"""Serve slides from one machine: HTTP, tiles on the event loop, worker processes, job threads."""
