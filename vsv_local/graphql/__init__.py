"""Execute ``schema.graphql`` on the standalone server as AppSync does, by calling the review function."""
