"""The roof as a Django app: its commands, static files and system checks."""

from django.apps import AppConfig


class DtqSiteConfig(AppConfig):
    """Registers the roof with Django."""

    name = "dtq_site"
