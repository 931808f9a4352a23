"""Programs for the maintainers of this project."""
