"""The server's entry point: HTTP goes to Django."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dtq_site.settings")


def _compose() -> ProtocolTypeRouter:
    http = get_asgi_application()  # loads the apps; what follows may import from them

    from accounts import demo
    from dtq_site.unparsed_bodies import leave_bodies_alone

    demo.refuse_in_production()
    leave_bodies_alone()
    return ProtocolTypeRouter({"http": http})


application = _compose()
