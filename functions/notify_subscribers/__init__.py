"""Notify GraphQL's subscribers of changes through AppSync: the function on the tables' streams."""
