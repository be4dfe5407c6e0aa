"""A job over many machines: its steps as tasks, and the farms that run them."""
