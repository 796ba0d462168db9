"""Write a slide and its record: a step of an import."""
