"""Tests of aca_kernel/environment/."""
