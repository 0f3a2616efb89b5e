"""Tools of Jupyter that have this folder in PYTHONPATH compile no grammars of IRIs.

jsonschema would import them for each, which takes a second (aca_kernel/batch/quick_import.py).
"""

import sys

sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # "cannot be imported"
