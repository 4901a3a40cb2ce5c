"""A model, a target and a device from outside lightmobile."""
