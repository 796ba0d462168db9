"""The session function: signed cookies, by which CloudFront knows who may load images."""
