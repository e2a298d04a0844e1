"""The version of DTQ; pyproject.toml takes it from here."""

VERSION = "0.2.0.dev0"
