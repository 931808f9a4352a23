"""The first segments of the paths of APIv2, which no other path begins with. Made by derive_v2_segments.py."""

V2_SEGMENTS = frozenset(
    {
        "appauth",
        "applyment",
        "billcommentsp",
        "cgi-bin",
        "deposit",
        "face",
        "fund",
        "mchrisk",
        "mmpaymkttransfers",
        "mmpaysptrans",
        "papay",
        "pay",
        "payitil",
        "risk",
        "sandboxnew",
        "secapi",
        "secsvc",
        "tools",
        "transit",
        "vehicle",
        "wxv",
        "xdc",
    }
)
