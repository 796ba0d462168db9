"""The standalone import machine: watched folders, transfer, import threads."""
