#!/usr/bin/env bash
# mcp 2.3.0 (beside fastmcp 4.2.3): a tool whose argument may be a text or null gets None for the text "null".
#
# MCPServer reads the text of an argument as JSON, unless the annotation is just str, for the sake of clients
# that send lists as texts. `str | None` is not just str. So a text that reads as null, a list or an object
# is a text no more: the tool gets None for "null", which is the same as no name at all, and "[1]" is
# refused as a list, though the schema that the server publishes takes any string. Numbers and true stay
# texts. fastmcp, whose servers look alike, hands over what was sent.
#
# Seen (Python 3.11):
#   published: [{'type': 'string'}, {'type': 'null'}]
#   mcp: null: got None, [1]: refused, 5: got '5', true: got 'true'
#   fastmcp: null: got 'null', [1]: got '[1]', 5: got '5', true: got 'true'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "mcp==2.3.0" "fastmcp==4.2.3"

cat >"$folder/try.py" <<'PYTHON'
import asyncio
import logging

import fastmcp
from fastmcp.exceptions import ToolError
from mcp import Client
from mcp.server import MCPServer


def find(name: str | None = None) -> str:
    return f"got {name!r}"


async def ask(name, client):
    answers = []
    for text in ("null", "[1]", "5", "true"):
        try:
            result = await client.call_tool("find", {"name": text})
        except ToolError:
            answer = "refused"
        else:
            answer = "refused" if result.is_error else result.content[0].text
        answers.append(f"{text}: {answer}")
    print(f"{name}:", ", ".join(answers))


async def main():
    server = MCPServer("files")
    server.tool()(find)
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        print("published:", tools[0].input_schema["properties"]["name"]["anyOf"])
        await ask("mcp", client)
    other = fastmcp.FastMCP("files")
    other.tool(find)
    async with fastmcp.Client(other) as client:
        await ask("fastmcp", client)


logging.disable(logging.CRITICAL)
asyncio.run(main())
PYTHON

seen=$("$folder/venv/bin/python" -W ignore "$folder/try.py")
printf '%s\n' "$seen"
[ "$seen" = "published: [{'type': 'string'}, {'type': 'null'}]
mcp: null: got None, [1]: refused, 5: got '5', true: got 'true'
fastmcp: null: got 'null', [1]: got '[1]', 5: got '5', true: got 'true'" ]
