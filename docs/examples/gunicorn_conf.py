"""Settings of gunicorn for checkout.py."""

from __future__ import annotations

bind = "127.0.0.1:8000"
workers = 2
threads = 4
timeout = 30  # seconds without a sign of life, after which gunicorn kills a worker: more than a call takes
preload_app = True  # loads the application before the fork; the workers share its memory
