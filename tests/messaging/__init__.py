"""Tests of aca_kernel/messaging/."""
