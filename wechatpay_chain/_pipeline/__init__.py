"""The layers that a request passes through, and the drivers that perform what they ask for."""
