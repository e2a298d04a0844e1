"""Every path of the server."""

from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import include, path, re_path
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from dtq_site import health, pages, sign_in
from dtq_site.endpoint import graphql
from dtq_site.metrics import metrics

# Tables of libraries: tokens have a writer of their own, and roles take the place of groups.
admin.site.unregister([Group, BlacklistedToken, OutstandingToken])

urlpatterns = [
    path("", pages.home, name="home"),
    path("tasks", pages.tasks, name="tasks"),
    path("tasks/<uuid:task_id>", pages.task, name="task"),
    path("sign-in", sign_in.SignIn.as_view(), name="sign-in"),
    path("sign-in/token", sign_in.access_token, name="access-token"),
    path("sign-out", sign_in.sign_out, name="sign-out"),
    re_path(r"^graphql/?$", graphql, name="graphql"),
    path("", include("accounts.urls")),
    *(path(address.removeprefix("/"), probe) for address, probe in health.PROBES.items()),
    path("metrics", metrics),
    path("admin/", admin.site.urls),
]
