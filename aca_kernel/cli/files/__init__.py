"""`aca-kernel upload` and `aca-kernel download`: what `%aca` does, from the command line.

upload, download   the subcommands
ways               their options, and which of two ways a transfer goes
running_kernel     through a kernel that runs, as a cell with an `%aca` line
in_pool            into an environment of a session pool, by its tools
far_end            the part of `in_pool` that runs in the environment
"""
