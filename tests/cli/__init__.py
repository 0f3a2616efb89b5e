"""Tests of aca_kernel/cli/."""
