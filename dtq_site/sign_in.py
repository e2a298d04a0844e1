"""Signing in to the pages: a session cookie for the browser, and from it short-lived access tokens for the API.

No script can read the cookie, and no form of another site can spend it: whatever it opens wants a CSRF token too. The API goes
on trusting tokens alone, so the cookie opens nothing there. A page keeps its token in memory and asks for the next one before
it runs out: a stolen one is worthless within minutes, and at once when its owner signs out, for both end the same session.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts import tokens
from accounts.admin_site import ThrottledLoginForm
from accounts.models import User
from accounts.roles import Role
from dtq_site.page import page, under_policy

TOKEN_LIFETIME = timedelta(minutes=10)
_SESSION = "api-session"


class PeopleForm(ThrottledLoginForm):
    """The door for people: the same limits on guessing as the API's, and either of the two names."""

    def confirm_login_allowed(self, user: User) -> None:
        """Keep the accounts of workers out: the API shows them nothing that a page could show."""
        if user.role == Role.WORKER:
            raise ValidationError("This account is a worker's; the pages are for people.")


class SignIn(LoginView):
    """`/sign-in`: begin a session, and go on to the page that was asked for."""

    authentication_form = PeopleForm
    template_name = "sign_in.html"
    next_page = "home"

    def render_to_response(self, context: dict[str, Any], **how: Any) -> HttpResponse:
        """The form, under the policy of all pages."""
        return under_policy(super().render_to_response(context, **how))


def sign_in_page(request: HttpRequest) -> HttpResponse:
    """The form in the place of the page that was asked for, to which it leads back."""
    return page(request, "sign_in.html", {"next": request.get_full_path()})


@never_cache
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """`/sign-out`: end the session, and with it all of its tokens."""
    logout(request)
    return redirect("home")


@never_cache
@require_POST
def access_token(request: HttpRequest) -> JsonResponse:
    """`/sign-in/token`: an access token for the page's own script; 401 if the session has ended."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "The session has ended."}, status=401)
    lifetime = min(TOKEN_LIFETIME, settings.DTQ_ACCOUNTS.jwt_expiration)
    token = tokens.issue_access(request.user, _session_id(request), lifetime)
    return JsonResponse({"accessToken": token, "expiresIn": int(lifetime.total_seconds())})


@receiver(user_logged_in)
def _begin_session(request: HttpRequest, **_: Any) -> None:
    """Before any page can ask for a token: two that ask at once would make two ids, of which one is lost."""
    _session_id(request)


@receiver(user_logged_out)
def _end_tokens(request: HttpRequest, user: User | None, **_: Any) -> None:
    """Whichever page the session ends on, those of the admin included."""
    if user is not None:
        tokens.revoke_session(_session_id(request))


def _session_id(request: HttpRequest) -> UUID:
    return UUID(request.session.setdefault(_SESSION, str(uuid4())))
