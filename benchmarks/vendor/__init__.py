"""Plain scripts, as the vendors' documentation has them: what `lightmobile export` is held to."""
