"""The roof as a Django app: its commands, static files and system checks."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class DtqSiteConfig(AppConfig):
    """Registers the roof with Django."""

    name = "dtq_site"

    def ready(self) -> None:
        """Let `/metrics` show the cluster's rows, migrations take their time, and spans be gathered if that is asked for."""
        from django.conf import settings
        from prometheus_client import REGISTRY

        from dtq_site import checks as checks
        from dtq_site.metrics import CLUSTER
        from dtq_site.migrating import lift_time_limits_for_migrations
        from dtq_site.spans import gather_spans

        lift_time_limits_for_migrations()
        gather_spans(settings.DTQ_SITE)
        REGISTRY.register(CLUSTER)


class OperatorsAdminConfig(AdminConfig):
    """The Django admin, with a site of our own."""

    default_site = "accounts.admin_site.OperatorsSite"
