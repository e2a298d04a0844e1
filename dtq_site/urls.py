"""Every path of the server."""

from django.contrib import admin
from django.urls import include, path, re_path

from dtq_site.endpoint import graphql
from dtq_site.pages import home

urlpatterns = [
    path("", home, name="home"),
    re_path(r"^graphql/?$", graphql, name="graphql"),
    path("", include("accounts.urls")),
    path("admin/", admin.site.urls),
]
