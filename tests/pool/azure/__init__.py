"""The control plane's client, against the local pool's control plane over real HTTP."""
