"""Start executions of the import machine: the function on the imports table's stream."""
