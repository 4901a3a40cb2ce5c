"""The claims of the papers as experiments: what to measure, and what the figures say to them."""
