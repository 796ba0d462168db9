"""Store records in SQLite."""
