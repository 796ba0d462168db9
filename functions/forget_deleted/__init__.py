"""Remove deleted slides from CloudFront's cache: the function on the slides table's stream."""
