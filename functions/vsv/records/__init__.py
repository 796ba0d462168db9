"""Records of slides, imports and jobs: models, store contracts, items, pages, the review index."""
