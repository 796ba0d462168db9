"""The function that hears of new objects in the drop-in bucket."""
