"""Checkpoints: the engine in the remote kernel, the store, and notebooks that expire."""
