"""The function on the tables' streams: what is told of a change, and how AppSync is asked to tell it."""
