"""Files: slide files, atomic writes, locks, NFS cache coherence, object stores, numeric IDs."""
