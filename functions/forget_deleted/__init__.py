"""The function on the slides' stream that has CloudFront forget deleted slides."""
