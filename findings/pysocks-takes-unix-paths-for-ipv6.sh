#!/usr/bin/env bash
# PySocks 1.7.1: its replacement of socket.socket cannot connect to a Unix domain socket.
#
# The usual way to send a notebook's traffic through a SOCKS proxy is
# `socket.socket = socks.socksocket`. From then on local connections of the same process fail,
# too: a path is no pair of host and port, and the check for IPv6 takes its characters for one.
# multiprocessing's managers, listeners and clients use such sockets on Linux; the error that
# their user sees speaks of IPv6. Without a proxy set, the same line connects no better.
#
# Seen (Python 3.11):
#   plain: connected
#   PySocks with a proxy: OSError: PySocks doesn't support IPv6
#   PySocks without one: OSError: PySocks doesn't support IPv6
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check PySocks==1.7.1

cat >"$folder/try.py" <<'PYTHON'
import os
import socket
import sys

import socks
from multiprocessing.connection import Client, Listener

path = os.path.join(sys.argv[1], "listener")
plain = socket.socket


def connect():
    try:
        Client(path, "AF_UNIX").close()
    except OSError as error:
        return f"OSError: {str(error).partition(':')[0]}"
    return "connected"


with Listener(path, "AF_UNIX"):
    print("plain:", connect())
    socket.socket = socks.socksocket
    socks.set_default_proxy(socks.SOCKS5, "127.0.0.1", 1080)
    print("PySocks with a proxy:", connect())
    socks.set_default_proxy()
    print("PySocks without one:", connect())
    socket.socket = plain
PYTHON

seen=$("$folder/venv/bin/python" "$folder/try.py" "$folder")
printf '%s\n' "$seen"
[ "$seen" = "plain: connected
PySocks with a proxy: OSError: PySocks doesn't support IPv6
PySocks without one: OSError: PySocks doesn't support IPv6" ]
