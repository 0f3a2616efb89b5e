"""Libraries of others, each in a notebook that is restored in its middle: see __main__.py."""
