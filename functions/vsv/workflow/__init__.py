"""Review transitions of slides, and the job queue."""
