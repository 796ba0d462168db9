"""Adapters to AWS services; no other package of the domain imports boto3."""
