"""`aca-kernel checkpoints`: what kernels have left in Jupyter's data directory."""
