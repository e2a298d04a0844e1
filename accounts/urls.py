"""The paths of accounts; the roof includes them at its root."""

from django.urls import path

from accounts.views import LoginView, LogoutView, RefreshView

urlpatterns = [
    path("auth/login", LoginView.as_view()),
    path("auth/refresh", RefreshView.as_view()),
    path("auth/logout", LogoutView.as_view()),
]
