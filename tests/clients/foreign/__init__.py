"""Foreign tools and suites, run with this kernel and with ipykernel's: see __main__.py."""
