"""`aca-kernel run`: real batches, on real kernels and real local pools."""
