"""Names of the CloudWatch metrics, for the functions that count and the dashboard that displays."""

NAMESPACE = "VSV"
IMPORTS_READY = "ImportsReady"
IMPORTS_FAILED = "ImportsFailed"
SCAN_TO_VIEWABLE_MINUTES = "ScanToViewableMinutes"
TRANSFER_MINUTES = "TransferMinutes"
LABEL_REFUSED = "LabelRefused"
FILES_PURGED = "FilesPurged"
BYTES_PURGED = "BytesPurged"
JOB_WAIT_MINUTES = "JobWaitMinutes"
JOB_DONE = "JobDone"
JOB_FAILED = "JobFailed"
COUNTS = (IMPORTS_READY, IMPORTS_FAILED, LABEL_REFUSED, FILES_PURGED)
BYTES = (BYTES_PURGED,)
MINUTES = (SCAN_TO_VIEWABLE_MINUTES, TRANSFER_MINUTES, JOB_WAIT_MINUTES)
# Counted for all kinds of job together, and for each kind by the dimension "Kind".
BY_KIND = (JOB_DONE, JOB_FAILED)
