"""Tests of aca_kernel/host/."""
