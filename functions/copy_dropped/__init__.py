"""The step that copies an object of the drop-in bucket to where its run keeps its file."""
