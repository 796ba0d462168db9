"""The names of our metrics, for the functions that count and the dashboard that shows."""

NAMESPACE = "VSV"
IMPORTS_READY = "ImportsReady"
IMPORTS_FAILED = "ImportsFailed"
SCAN_TO_VIEWABLE_MINUTES = "ScanToViewableMinutes"
TRANSFER_MINUTES = "TransferMinutes"
LABEL_REFUSED = "LabelRefused"
COUNTS = (IMPORTS_READY, IMPORTS_FAILED, LABEL_REFUSED)
MINUTES = (SCAN_TO_VIEWABLE_MINUTES, TRANSFER_MINUTES)
