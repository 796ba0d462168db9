"""Files: where slides are stored, atomic writes, locks, NFS coherence, object stores, numeric IDs."""
