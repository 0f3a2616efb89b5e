"""Run lines of `aca-kernel` in one process of Windows Python: lists of words, as JSON, on stdin.

Prints [status, standard output, standard error] of each as JSON. A console of western Europe is
played: its encoding does not have every character of the documentation.
"""

from __future__ import annotations

import io
import json
import sys
import traceback
from pathlib import Path

from aca_kernel.cli import main


def run(words: list[str]) -> tuple[object, str, str]:
    streams = sys.stdout, sys.stderr
    said = [io.TextIOWrapper(io.BytesIO(), encoding="cp1252", write_through=True) for _ in range(2)]
    sys.stdout, sys.stderr = said
    try:
        status: object = main(words)
    except SystemExit as end:  # argparse
        status = end.code
    except Exception:  # noqa: BLE001 - it is the answer: none may come
        traceback.print_exc()
        status = "traceback"
    finally:
        sys.stdout, sys.stderr = streams
    out, err = (one.buffer.getvalue().decode("cp1252").replace("\r\n", "\n") for one in said)
    return status, out, err


if __name__ == "__main__":
    if sys.platform == "win32":
        import _winapi

        # Wine 8 has none, and ends a process that calls it; `shutil` does without.
        del _winapi.CopyFile2
    # Kernels start slowly here: by then others would have the ports that were found free.
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from ports import PortsOfAWorker  # type: ignore[import-not-found]  # of tests/

    PortsOfAWorker.instance()
    print(json.dumps([run(words) for words in json.load(sys.stdin)]))
