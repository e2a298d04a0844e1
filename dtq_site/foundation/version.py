"""The version of DTQ; pyproject.toml takes it from here."""

VERSION = "0.1.0"
