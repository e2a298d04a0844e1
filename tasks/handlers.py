"""The built-in handlers: `send-email`, `http-request`, `daily-report`, and `deliver-webhook` for the engine itself.

They run on direct workers, which have the project's settings and database; a remote worker does not import them. Models
are imported inside the functions, because handlers are found while Django is still loading its apps.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import BadHeaderError, EmailMessage, get_connection
from django.core.validators import validate_email

from dtq_site.foundation.clock import host_now
from dtq_site.foundation.database import database_clock
from tasks import Discard, TaskContext, task
from tasks.domain.webhooks import HANDLER as DELIVER_WEBHOOK
from tasks.domain.webhooks import QUEUE as WEBHOOKS_QUEUE
from tasks.http_guard import GuardedTransport
from tasks.http_request import exchange

LONGEST_REQUEST_SECONDS = 300
DELIVERIES_AT_ONCE = 4
"""To one webhook: a receiver that is slow keeps no more slots of the workers than that."""

Addresses = str | list[str] | None


@task("send-email", timeout=300)
def send_email(
    email: Addresses = None,
    recipients: Addresses = None,
    subject: str = "A message from DTQ",
    body: str = "",
) -> dict[str, Any]:
    """Send a mail to the address `email`, to all `recipients`, or to both; each gets a message of its own.

    Returns how many were sent and to whom. Discards the task if there is no address, or one that is not valid.
    """
    addresses = _checked_addresses(email, recipients)
    if not addresses:
        raise Discard("send-email needs an address: give email, or a list recipients.")
    if not isinstance(subject, str) or not isinstance(body, str):
        raise Discard("send-email: subject and body must be text.")
    return {"sent": _mail(addresses, subject, body), "recipients": addresses}


@task("http-request", timeout=LONGEST_REQUEST_SECONDS + 30, takes_context=True)
def http_request(
    context: TaskContext,
    url: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    json: Any = None,
    timeout: float = 30,
) -> dict[str, Any]:
    """Call an http or https address and return its answer: `status url headers`, `json` or `body`, `truncated`.

    `json`, unless null, is sent as the body; `timeout` bounds the whole exchange, in seconds. At most 64 KiB of the body
    are kept. No connection, 408, 425, 429 and 5xx are failed attempts, other statuses from 400 on discard the task.
    Every attempt bears the same Idempotency-Key header, the task's id, so that the other side can tell a repetition.
    Addresses that are not on the public internet are refused unless DTQ_HTTP_ALLOW_PRIVATE allows them.
    """
    if not isinstance(url, str) or not isinstance(method, str):
        raise Discard("http-request: url and method must be text.")
    if headers is not None and not isinstance(headers, dict):
        raise Discard("http-request: headers must be an object of names and values.")
    if not isinstance(timeout, int | float) or not 0 < timeout <= LONGEST_REQUEST_SECONDS:
        raise Discard(f"http-request: timeout must be above 0 and at most {LONGEST_REQUEST_SECONDS} seconds.")
    options = settings.DTQ_TASKS
    reserve = max(0.0, context.remaining_seconds - timeout)
    transport = GuardedTransport(
        allow_private=options.allow_private_addresses,
        remaining_seconds=lambda: context.remaining_seconds - reserve,
    )
    given = {name.lower(): value for name, value in (headers or {}).items()}
    return exchange(
        transport,
        method=method.upper(),
        url=url,
        headers={"idempotency-key": context.task_id, **given},
        content=json,
        checkpoint=context.checkpoint,
        now=host_now(),
        max_result_bytes=options.max_json_bytes,
    )


@task("daily-report", timeout=600, takes_context=True)
def daily_report(
    context: TaskContext,
    reportType: str = "daily",  # noqa: N803 (a name of the outer contract)
    email: Addresses = None,
    recipients: Addresses = None,
) -> dict[str, Any]:
    """Count what the task's team did in the last 24 hours; mail it to `email` and `recipients` if there are any.

    `reportType` is any text; it names the report and is returned with the figures.
    """
    from tasks.daily_report import as_text, daily_figures
    from tasks.models import Task

    addresses = _checked_addresses(email, recipients)
    team_id = Task.objects.values_list("team_id", flat=True).get(pk=context.task_id)
    figures = daily_figures(team_id, database_clock.now())
    title = f"{reportType} report"
    if addresses:
        context.checkpoint()
        _mail(addresses, title, as_text(title, figures))
    return {"reportType": reportType, **figures, "recipients": addresses}


@task(
    DELIVER_WEBHOOK,
    queue=WEBHOOKS_QUEUE,
    timeout=120,
    takes_context=True,
    max_running=DELIVERIES_AT_ONCE,
    per="{webhook}",
)
def deliver_webhook(context: TaskContext, webhook: str, delivery: str) -> dict[str, int | None]:
    """Send a message to a webhook of the task's team. The engine makes these tasks; both arguments are ids."""
    from tasks.webhooks import sending

    return sending.deliver(context, webhook, delivery)


def _checked_addresses(*given: Addresses) -> list[str]:
    """All addresses, each once, in order. Discards the task, naming the one that is not valid."""
    addresses: list[str] = []
    for each in given:
        if each is not None:
            addresses += each if isinstance(each, list) else [each]
    for address in addresses:
        if not _is_address(address):
            raise Discard(f"{address!r:.300} is no e-mail address.")
    return list(dict.fromkeys(addresses))


def _is_address(value: object) -> bool:
    try:
        validate_email(value if isinstance(value, str) else "")
    except ValidationError:
        return False
    return True


def _mail(addresses: list[str], subject: str, body: str) -> int:
    """Send one message to each address over one connection; returns how many were sent."""
    messages = [EmailMessage(subject, body, to=[address]) for address in addresses]
    try:
        return int(get_connection().send_messages(messages))
    except BadHeaderError:
        raise Discard("The subject of a mail is one line.") from None
