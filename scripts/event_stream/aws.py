"""Clients of AWS, or of the emulator AWS_ENDPOINT_URL names, and what they raise as a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from config.errors import PDPError, SettingsError, SourceDenied, SourceUnavailable


def client(service: str) -> Any:
    """For `s3` or `kinesis`, in AWS_REGION or else where a profile says. SettingsError without boto3."""
    try:
        import boto3
    except ImportError:
        raise SettingsError("boto3 is not installed.", "Install it with: pip install 'personal-data-platform[aws]'.") from None
    return boto3.client(service, region_name=os.environ.get("AWS_REGION") or None)


@contextmanager
def explained() -> Iterator[None]:
    """Inside the block whatever a client raises becomes SourceDenied or SourceUnavailable."""
    try:
        yield
    except PDPError:
        raise
    except Exception as error:
        kind = type(error).__name__
        code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
        if code:
            raise SourceDenied(f"AWS refused: {code}.", "Check the names of bucket and stream, and the credentials.") from None
        if kind in {"NoCredentialsError", "PartialCredentialsError", "NoRegionError", "ProfileNotFound"}:
            mend = "Set AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
            raise SourceDenied(f"AWS cannot be asked: {kind}.", mend) from None
        if type(error).__module__.startswith("botocore."):
            where = "AWS_ENDPOINT_URL" if os.environ.get("AWS_ENDPOINT_URL") else "the network"
            raise SourceUnavailable(f"AWS did not answer: {kind}.", f"Check {where}, then try again.") from None
        raise
