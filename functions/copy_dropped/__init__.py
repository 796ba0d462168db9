"""Copy an object of the drop-in bucket to where its run keeps its file: a step of an import."""
