"""The entry point for servers that speak WSGI; they have no subscriptions."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dtq_site.settings")

application = get_wsgi_application()
