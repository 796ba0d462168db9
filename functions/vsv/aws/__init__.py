"""Adapters of AWS's services; no other package of the domain imports boto3."""
