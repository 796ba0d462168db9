"""Resolve the fields of the GraphQL API: the review function."""
