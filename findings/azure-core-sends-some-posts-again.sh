#!/usr/bin/env bash
# azure-core 1.41.0: a POST that is answered by 500, 503 or 504 is sent four times, whatever methods are
# to be tried again.
#
# RetryPolicy has a list of methods that are tried again, without POST and PATCH, and a call can give its
# own: retry_on_methods=['GET'] is the library's example. For these three answers the list is not asked, and
# what a POST began before it failed is begun three times more. Behind 408 and 429, by which a server
# says that it did nothing, a POST is not sent again. Only a smaller number of retries, such as
# retry_status=0, keeps it from that. Azure's clients for Python are made with this policy.
#
# Seen (Python 3.11), requests that the server got for one POST:
#   by default: 408: 1, 429: 1, 500: 4, 502: 1, 503: 4, 504: 4
#   retry_on_methods=['GET']: 408: 1, 429: 1, 500: 4, 502: 1, 503: 4, 504: 4
#   retry_status=0: 408: 1, 429: 1, 500: 1, 502: 1, 503: 1, 504: 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "azure-core==1.41.0"

cat >"$folder/try.py" <<'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from azure.core import PipelineClient
from azure.core.pipeline.policies import RetryPolicy
from azure.core.rest import HttpRequest

posts = []


class Handler(BaseHTTPRequestHandler):
    """Answers by the status that the path names."""

    def do_POST(self):
        posts.append(self.path)
        self.send_response(int(self.path[1:]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
# Without a wait between two of them.
client = PipelineClient(address, policies=[RetryPolicy(retry_backoff_factor=0)])
cases = {
    "by default": {},
    "retry_on_methods=['GET']": {"retry_on_methods": ["GET"]},
    "retry_status=0": {"retry_status": 0},
}
for name, options in cases.items():
    counts = []
    for status in (408, 429, 500, 502, 503, 504):
        posts.clear()
        client.send_request(HttpRequest("POST", f"{address}/{status}"), **options)
        counts.append(f"{status}: {len(posts)}")
    print(f"{name}:", ", ".join(counts))
server.shutdown()
PYTHON

seen=$("$folder/venv/bin/python" "$folder/try.py")
printf '%s\n' "$seen"
[ "$seen" = "by default: 408: 1, 429: 1, 500: 4, 502: 1, 503: 4, 504: 4
retry_on_methods=['GET']: 408: 1, 429: 1, 500: 4, 502: 1, 503: 4, 504: 4
retry_status=0: 408: 1, 429: 1, 500: 1, 502: 1, 503: 1, 504: 1" ]
