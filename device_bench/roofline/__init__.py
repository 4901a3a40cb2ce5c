"""How near operators and models come to what the device can do: its ceilings, and their bounds."""
