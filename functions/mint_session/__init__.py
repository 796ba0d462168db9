"""Sign the cookies by which CloudFront recognizes people who may load images."""
