"""Work on many slides: imports and renders, several at once, with a report."""
