"""Deep Zoom."""
