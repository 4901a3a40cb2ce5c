"""Models that are not ours, by a name with a colon: timm's, and a user's own."""
