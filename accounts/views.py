"""The REST edge of accounts: sign in, refresh, sign out. JSON in, JSON out.

Nothing here trusts a cookie, so nothing needs a CSRF token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework import status
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import authentication
from accounts.authentication import SignedIn
from accounts.client_address import client_address
from dtq_site.foundation import strict_json
from dtq_site.foundation.errors import BadInput, PayloadTooLarge


class SmallJSONParser(BaseParser):
    """JSON of at most 16 KiB: anybody may send us some."""

    media_type = "application/json"
    longest = 16 * 1024

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The request's body, an object; raises PayloadTooLarge or BadInput."""
        body = stream.read(self.longest + 1)
        if len(body) > self.longest:
            raise PayloadTooLarge(f"The request is larger than {self.longest:,} bytes.")
        try:
            content = strict_json.decode(body)
        except strict_json.NotJSON as error:
            raise BadInput(f"The request's body is not valid JSON: {error}.") from None
        if not isinstance(content, dict):
            raise BadInput("Send one JSON object.")
        return content


class AuthView(APIView):
    """What the three operations share: JSON only, no authentication of their own, never cached."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = (SmallJSONParser,)
    http_method_names = ("post", "options")

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Forbid every cache to keep the answer: it holds tokens."""
        response["Cache-Control"] = "no-store"
        return super().finalize_response(request, response, *args, **kwargs)


class LoginView(AuthView):
    """POST {username or email, password}: starts a session."""

    def post(self, request: Request) -> Response:
        """Answer with the tokens and the user."""
        field = next((field for field in ("username", "email") if field in request.data), None)
        if field is None:
            raise BadInput("Give 'username' or 'email'.", field="username")
        signed_in = authentication.log_in(
            login=_text(request, field), password=_text(request, "password"), address=request_address(request)
        )
        return Response(_tokens(signed_in))


class RefreshView(AuthView):
    """POST {refresh_token}: spends it for the next pair of tokens."""

    def post(self, request: Request) -> Response:
        """Answer with the tokens and the user."""
        return Response(_tokens(authentication.refresh(_text(request, "refresh_token"))))


class LogoutView(AuthView):
    """POST {refresh_token}: ends its session. With nothing but an access token in the header: all of that account."""

    def post(self, request: Request) -> Response:
        """Answer with nothing."""
        if "refresh_token" in request.data:
            authentication.log_out(refresh_token=_text(request, "refresh_token"), identity=None)
        else:
            authentication.log_out(refresh_token=None, identity=authentication.identity_from_token(_bearer(request)))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _tokens(signed_in: SignedIn) -> dict[str, Any]:
    user = signed_in.user
    return {
        "access_token": signed_in.access_token,
        "refresh_token": signed_in.refresh_token,
        "token_type": "Bearer",
        "expires_in": signed_in.expires_in,
        "user": {"id": str(user.id), "username": user.username, "email": user.email, "role": user.role},
    }


def _text(request: Request, field: str) -> str:
    value = request.data.get(field)
    if not isinstance(value, str) or not value:
        raise BadInput(f"'{field}' is missing, or no text.", field=field)
    return value


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def request_address(request: Request | HttpRequest) -> str:
    """Where a request comes from, by the settings."""
    trusted = settings.DTQ_ACCOUNTS.trusted_proxies
    return client_address(request.META.get("REMOTE_ADDR"), request.META.get("HTTP_X_FORWARDED_FOR"), trusted)
