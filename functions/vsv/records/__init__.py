"""Records of slides, imports and jobs: models, store contracts, items, pagination, the review index."""
