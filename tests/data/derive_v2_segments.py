"""Writes wechatpay_chain/_catalogue/v2_segments.py: the first segments of the paths of APIv2, from operations.txt beside this file.

    python tests/data/derive_v2_segments.py tests/data/operations.txt > wechatpay_chain/_catalogue/v2_segments.py

It refuses to write a segment that other paths begin with too.
"""

from __future__ import annotations

import sys
from pathlib import Path


def derive(operations: str) -> str:
    paths = [line.split(" ")[1] for line in operations.splitlines() if not line.startswith("#")]
    found = {path.split("/")[2] for path in paths if path.startswith("/v2/")}
    shared = found & {path.split("/")[1] for path in paths if not path.startswith("/v2/")}
    if shared:
        raise ValueError(f"{', '.join(sorted(shared))}: the first segment does not tell APIv2 from others")
    lines = "".join(f'        "{segment}",\n' for segment in sorted(found))
    return (
        '"""The first segments of the paths of APIv2, which no other path begins with. Made by derive_v2_segments.py."""\n\n'
        f"V2_SEGMENTS = frozenset(\n    {{\n{lines}    }}\n)\n"
    )


if __name__ == "__main__":
    sys.stdout.write(derive(Path(sys.argv[1]).read_text()))
