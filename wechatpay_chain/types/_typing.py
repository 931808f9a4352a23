"""The `TypedDict` that is right at run time: that of `typing` has neither `NotRequired` on Python 3.10 nor all that pydantic needs
before 3.12.
"""

import sys

if sys.version_info >= (3, 12):
    from typing import NotRequired as NotRequired
    from typing import TypedDict as TypedDict
else:
    from typing_extensions import NotRequired as NotRequired
    from typing_extensions import TypedDict as TypedDict
