"""Imports the `TypedDict` that is right at run time: that of `typing` lacks what pydantic needs before Python 3.12.

On Python 3.10 it has no `NotRequired` either.
"""

import sys

if sys.version_info >= (3, 12):
    from typing import NotRequired as NotRequired
    from typing import TypedDict as TypedDict
else:
    from typing_extensions import NotRequired as NotRequired
    from typing_extensions import TypedDict as TypedDict
