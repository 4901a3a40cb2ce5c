"""Runners: processes that hold one artifact in one runtime, asked line by line."""
