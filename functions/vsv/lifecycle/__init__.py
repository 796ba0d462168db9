"""Lifecycle of a slide after import: archive, restore, purge, the jobs that run these, the daily schedule."""
