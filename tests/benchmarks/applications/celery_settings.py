"""Django's settings for Celery with django-celery-results: the database of the run."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

_url = urlsplit(os.environ["BENCHMARK_DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.mysql",
        "HOST": _url.hostname,
        "PORT": _url.port,
        "USER": _url.username,
        "PASSWORD": _url.password,
        "NAME": _url.path.strip("/"),
        "OPTIONS": {"charset": "utf8mb4"},
    }
}
INSTALLED_APPS = ["django_celery_results"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "a benchmark signs nothing"
TIME_ZONE = "UTC"
USE_TZ = True
