"""What runs inside a session's sandbox: standard library only, Python 3.10 or newer.

The directory is mounted into the sandbox under another package name, so its
modules import each other relatively and nothing else of ours.
"""
