"""How the body of a request reaches a pool and an answer comes back: HTTP, and nothing of MCP.

    contract  what both ways do
    factory   the choice between them, by the address
    loopback  a pool on this machine: h11 on a socket of the event loop
    internet  httpx, with TLS, proxies and all that is met there
    tls       certificate authorities that are trusted
    distrust  why a certificate is not

The lean way exists because a call is all there is between two short cells, and httpx would take
a third of the time that we add to it.
"""
