"""Packages of notebooks."""
