"""Operators and foldings that several families share."""
