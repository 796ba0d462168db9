"""Record, import and job stores and the review index in DynamoDB."""
