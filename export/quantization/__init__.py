"""What the quantizing exporters share."""
