"""A slide's life after import: archive, restore, purge, the jobs that do it, the daily schedule."""
