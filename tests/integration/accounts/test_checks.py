"""What the system check says of accounts."""

from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.test import override_settings

from accounts.apps import check_blacklist_is_installed

BLACKLIST = "rest_framework_simplejwt.token_blacklist"


def test_the_project_remembers_used_refresh_tokens():
    assert BLACKLIST in django_settings.INSTALLED_APPS
    assert [problem for problem in run_checks() if problem.id == "accounts.E001"] == []


def test_a_project_that_does_not_is_stopped():
    without = [app for app in django_settings.INSTALLED_APPS if app != BLACKLIST]

    with override_settings(INSTALLED_APPS=without):
        (problem,) = check_blacklist_is_installed(None)

    assert problem.id == "accounts.E001"
    assert BLACKLIST in problem.hint
