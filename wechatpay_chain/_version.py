"""The one place that knows the version; pyproject.toml and the User-Agent read it from here."""

__version__ = "0.2.0"
