"""`aca-kernel pool`: session pools in Azure, one module for each command.

`common` holds their options, connection and progress line. `aca-kernel pool serve` is the local
pool's own (localpool/serve.py).
"""
