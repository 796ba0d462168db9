"""Import slides on one machine: watched folders, transfer, import threads."""
