"""Services that run for long: the node that marks what an archive sends it."""
