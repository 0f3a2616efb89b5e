"""`aca-kernel checkpoints`: the checkpoints in Jupyter's data directory."""
