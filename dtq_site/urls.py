"""Every path of the server."""

from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import include, path, re_path
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from dtq_site import health
from dtq_site.endpoint import graphql
from dtq_site.metrics import metrics
from dtq_site.pages import home

# Tables of libraries: tokens have a writer of their own, and roles take the place of groups.
admin.site.unregister([Group, BlacklistedToken, OutstandingToken])

urlpatterns = [
    path("", home, name="home"),
    re_path(r"^graphql/?$", graphql, name="graphql"),
    path("", include("accounts.urls")),
    path("health", health.health),
    path("health/database", health.health_database),
    path("health/queue", health.health_queue),
    path("health/live", health.health_live),
    path("health/ready", health.health_database),
    path("metrics", metrics),
    path("admin/", admin.site.urls),
]
