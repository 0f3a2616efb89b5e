"""The half of the relay that runs inside the session environment.

These files are sent to the environment as they are and loaded there as the package
`_aca_remote`; see loader.py. They use the standard library and, where a module says
so, pyzmq and ipykernel, which the environment must have. Oldest Python: 3.9.
"""
