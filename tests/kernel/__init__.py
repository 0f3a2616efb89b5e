"""Tests of aca_kernel/kernel/."""
