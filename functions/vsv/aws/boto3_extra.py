"""The extra ``aws`` of the Python package, which installs boto3; most labs do not need boto3."""

from importlib.util import find_spec

from vsv.errors import SettingsError


def require_boto3() -> None:
    """Raise SettingsError where boto3 is not installed; one machine needs it for buckets, secrets and tables only."""
    if find_spec("boto3") is None:
        raise SettingsError(
            "buckets, secrets and tables of AWS need boto3: install virtual-slide-viewer[aws]"
            " (in a clone: scripts/setup with-aws)"
        )
