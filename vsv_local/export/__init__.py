"""Export from a data folder: Deep Zoom folders, OMERO's import files, the page."""
