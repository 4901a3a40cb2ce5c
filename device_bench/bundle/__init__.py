"""What is pushed to an arm64 phone: the native runners and every library that they load."""

from lightmobile.device_bench.bundle.finding import Bundle, find_bundle

__all__ = ["Bundle", "find_bundle"]
