"""Review transitions of slides, and the queue of jobs."""
