"""DTQ's settings with the app in them, and a second back end that repeats failures."""

from dtq_site.settings import *  # noqa: F403
from dtq_site.settings import INSTALLED_APPS, TASKS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.integration.django_tasks.shop"]
TASKS = {**TASKS, "patient": {**TASKS["default"], "OPTIONS": {"max_retries": 1}}}
