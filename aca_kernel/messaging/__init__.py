"""Jupyter messages on the front end's side: sockets, requests, replies. Knows no environment."""
