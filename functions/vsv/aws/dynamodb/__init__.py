"""Records, jobs and the review index in DynamoDB."""
