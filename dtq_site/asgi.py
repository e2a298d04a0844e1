"""The server's entry point: `/graphql`, over HTTP and as a WebSocket, goes to the API, all else to Django."""

import gc
import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dtq_site.settings")


async def _refuse(scope, receive, send) -> None:
    """Close a WebSocket to any other path; a router without an answer for it would write a trace to the log."""
    await send({"type": "websocket.close"})


def _compose() -> ProtocolTypeRouter:
    django = get_asgi_application()  # loads the apps; what follows may import from them

    from accounts import demo
    from dtq_site.arrivals import identified
    from dtq_site.endpoint import edge_before
    from dtq_site.live import graphql_socket
    from dtq_site.long_messages import send_long_messages
    from dtq_site.request_bodies import bound_bodies

    demo.refuse_in_production()
    # Who sends a little too much is told so by the application.
    bound_bodies(2 * settings.DTQ_API.max_request_bytes)
    send_long_messages()
    http = URLRouter([re_path(r"^graphql/?$", edge_before(django)), re_path(r"", django)])
    websocket = URLRouter([re_path(r"^graphql/?$", graphql_socket), re_path(r"", _refuse)])
    gc.freeze()  # what has been loaded by now stays, and the collector need not look at it again and again
    return ProtocolTypeRouter({"http": identified(http), "websocket": websocket})


application = _compose()
