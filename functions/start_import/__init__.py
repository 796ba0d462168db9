"""The function on the imports table's stream that starts executions of the import machine."""
