"""Answer POST /ImportSlide, the request of a scanner's scheduled task."""
