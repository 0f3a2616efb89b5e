"""`aca-kernel pool`: session pools in Azure, one module for each command.

`common` is what they share: the options that say where, the connection, the progress line.
`aca-kernel pool serve` is not here: it is the local pool's own (localpool/serve.py).
"""
