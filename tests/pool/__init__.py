"""Tests of aca_kernel/pool/."""
