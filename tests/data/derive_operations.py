"""Writes operations.txt: the method and path of every operation that a table of operations describes.

    python tests/data/derive_operations.py TABLE > tests/data/operations.txt

The table is JSON, a list of objects with `api`, `method` and `path`. The paths of APIv2 are written below `v2/`, which is
where a chain finds them.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path


def derive(table: bytes) -> str:
    lines = sorted(
        f"{operation['method']} {'/v2' if operation['api'] == 'v2' else ''}{operation['path']}"
        for operation in json.loads(table)
    )
    stamp = hashlib.sha256(table).hexdigest()
    return f"# Made by derive_operations.py of a table with SHA-256 {stamp}; do not edit.\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(derive(Path(sys.argv[1]).read_bytes()))
