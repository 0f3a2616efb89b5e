"""Tests of aca_kernel/remote/."""
