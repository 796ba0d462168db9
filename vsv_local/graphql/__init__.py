"""AppSync's part on the standalone server: ``schema.graphql`` executed by calling the review function."""
