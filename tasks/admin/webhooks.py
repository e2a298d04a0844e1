"""Webhooks and what was delivered to them in the Django admin. Whatever is done here is done and noted by `webhooks/changes.py`.

A secret is shown once, on the page that follows a creation or a rotation, and kept in no cookie and no session.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin_pages import AdminPage, ReadOnlyPage, TeamFilter, TextFilter, in_utc
from dtq_site.foundation.database import database_clock
from dtq_site.foundation.errors import BadInput
from dtq_site.foundation.ids import parse_uuid
from tasks.domain.webhooks import STATUS_OF
from tasks.models import Webhook, WebhookDelivery
from tasks.webhooks import changes, subscriptions

OVERLAP = timedelta(days=1)


class WebhookForm(forms.ModelForm):
    """A webhook as people fill it in, checked by the rules of the API."""

    events = forms.MultipleChoiceField(
        choices=[(event, event) for event in STATUS_OF], widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = Webhook
        fields = ("team", "url", "events", "description", "active")
        labels = {"url": "URL"}

    @property
    def asked(self) -> dict[str, Any]:
        """What the form asks for: of a new webhook everything, else what was changed in it."""
        names = self.fields if self.instance._state.adding else self.changed_data
        return {name: self.cleaned_data[name] for name in names if name != "team"}

    def clean(self) -> dict[str, Any]:
        """Check it, each refusal at its field."""
        if not self.errors:
            try:
                subscriptions.checked(self.asked)
            except BadInput as error:
                self.add_error(error.field, error.message)
        return self.cleaned_data


@admin.register(Webhook)
class WebhookAdmin(AdminPage):
    """Webhooks: add, edit, switch on and off, test, rotate, delete."""

    audited_as = "webhook"
    autocomplete_fields = ("team",)
    form = WebhookForm
    state = ("disabled_reason", "previous_secret_until", "created_at", "updated_at", "shown")
    list_display = ("__str__", "team", "told", "active", "disabled_reason", "shown")
    list_filter = ("active", TeamFilter)
    list_select_related = ("team",)
    search_fields = ("description", "url")
    ordering = ("id",)
    actions = ("switch_on", "switch_off", "test", "rotate")

    def get_fields(self, request: HttpRequest, obj: Webhook | None = None) -> tuple[str, ...]:
        """One that exists shows its state too."""
        return (*WebhookForm.Meta.fields, *(self.state if obj else ()))

    def get_readonly_fields(self, request: HttpRequest, obj: Webhook | None = None) -> tuple[str, ...]:
        """A webhook stays in its team."""
        return ("team", *self.state) if obj else ()

    @admin.display(description="events")
    def told(self, webhook: Webhook) -> str:
        """What it is told."""
        return ", ".join(webhook.events)

    @admin.display(description="deliveries")
    def shown(self, webhook: Webhook) -> SafeString:
        """The way to its log."""
        link = f"{reverse('admin:tasks_webhookdelivery_changelist')}?webhook={webhook.pk}"
        return format_html('<a href="{}">Show</a>', link)

    def save_model(self, request: HttpRequest, obj: Webhook, form: WebhookForm, change: bool) -> None:
        """Have it written."""
        now, by = database_clock.now(), request.user.identity
        if not change:
            issued = changes.create(form.asked, obj.team_id, by, now)
            obj.pk, request.issued = issued.webhook.pk, issued
        elif form.asked:
            changes.update(obj, form.asked, by, now)

    def response_add(self, request: HttpRequest, obj: Webhook, post_url_continue: str | None = None) -> HttpResponse:
        """The page with its secret."""
        return self._secret_page(request, request.issued)

    def delete_model(self, request: HttpRequest, obj: Webhook) -> None:
        """Have it removed."""
        changes.delete(obj, request.user.identity)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        """Have each of them removed."""
        for webhook in queryset:
            self.delete_model(request, webhook)

    @admin.action(description="Switch the chosen webhooks on", permissions=["change"])
    def switch_on(self, request: HttpRequest, chosen: QuerySet[Webhook]) -> None:
        """Tell them again."""
        self._switch(request, chosen, active=True)

    @admin.action(description="Switch the chosen webhooks off", permissions=["change"])
    def switch_off(self, request: HttpRequest, chosen: QuerySet[Webhook]) -> None:
        """Tell them nothing."""
        self._switch(request, chosen, active=False)

    def _switch(self, request: HttpRequest, chosen: QuerySet[Webhook], *, active: bool) -> None:
        for webhook in chosen:
            changes.update(webhook, {"active": active}, request.user.identity, database_clock.now())
        self.message_user(request, f"Webhooks switched {'on' if active else 'off'}: {len(chosen)}.", messages.SUCCESS)

    @admin.action(description="Send the chosen webhooks a test", permissions=["change"])
    def test(self, request: HttpRequest, chosen: QuerySet[Webhook]) -> None:
        """Have a message delivered to each."""
        for webhook in chosen:
            changes.test(webhook, request.user.identity, database_clock.now())
        self.message_user(request, f"Tests on their way: {len(chosen)}; see the deliveries.", messages.SUCCESS)

    @admin.action(description="Give the chosen webhook a new secret", permissions=["change"])
    def rotate(self, request: HttpRequest, chosen: QuerySet[Webhook]) -> HttpResponse | None:
        """Rotate one, once that was confirmed; messages are signed by the old secret too for a day."""
        if len(chosen) != 1:
            self.message_user(request, "Choose one webhook: its new secret is shown once.", messages.ERROR)
            return None
        if page := self.ask(request, "rotate", "Give this webhook a new secret", chosen):
            return page
        issued = changes.rotate(chosen[0], OVERLAP, request.user.identity, database_clock.now())
        return self._secret_page(request, issued)

    def _secret_page(self, request: HttpRequest, issued: subscriptions.Issued) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "The secret of the webhook",
            "opts": self.opts,
            "issued": issued,
        }
        return TemplateResponse(request, "admin/tasks/webhook/secret.html", context)


class WebhookFilter(TextFilter):
    """By the id of a webhook."""

    title = "webhook, by its id"
    parameter_name = "webhook"

    def queryset(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> QuerySet[WebhookDelivery]:
        """What was to be delivered to it."""
        return queryset if self.value() is None else queryset.filter(webhook_id=parse_uuid(self.value()))


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyPage):
    """The log of deliveries, the newest first; what was or was not delivered can be sent again."""

    audited_as = "webhook"
    list_display = ("moment", "event", "delivered", "last_try", "carrier")
    list_filter = (WebhookFilter,)
    ordering = ("-id",)
    sortable_by = ()
    fields = ("id", "webhook_id", "event", "task_id", "carrier", "body", "moment", "delivered_at", "tries")
    readonly_fields = fields
    actions = ("redeliver",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        """The deliveries, with their attempts."""
        return super().get_queryset(request).prefetch_related("tries")

    @admin.display(description="made at (UTC)")
    def moment(self, delivery: WebhookDelivery) -> str:
        """When, to the second."""
        return in_utc(delivery.created_at)

    @admin.display(description="delivered", boolean=True)
    def delivered(self, delivery: WebhookDelivery) -> bool:
        """Whether it was taken."""
        return delivery.delivered_at is not None

    @admin.display(description="last attempt", empty_value="")
    def last_try(self, delivery: WebhookDelivery) -> str | None:
        """How that went."""
        tries = list(delivery.tries.all())
        return f"{tries[-1].status_code or 'no answer'} after {tries[-1].duration_ms} ms" if tries else None

    @admin.display(description="carried by")
    def carrier(self, delivery: WebhookDelivery) -> SafeString:
        """The way to the task that delivers it."""
        return format_html('<a href="{}">Show</a>', reverse("task", args=[delivery.carrier_id]))

    @admin.display(description="attempts")
    def tries(self, delivery: WebhookDelivery) -> SafeString:
        """How each of them went."""
        rows = (
            (in_utc(each.at), each.attempt, each.status_code or "no answer", each.duration_ms, each.error)
            for each in delivery.tries.all()
        )
        return format_html_join("", "<p>{}: attempt {}, {}, {} ms</p><pre>{}</pre>", rows) or SafeString("None.")

    @admin.action(description="Deliver the chosen messages again", permissions=["act"])
    def redeliver(self, request: HttpRequest, chosen: QuerySet[WebhookDelivery]) -> None:
        """Under their old ids."""
        webhooks = Webhook.objects.in_bulk({delivery.webhook_id for delivery in chosen})
        sent = [delivery for delivery in chosen if delivery.webhook_id in webhooks]
        for delivery in sent:
            webhook = webhooks[delivery.webhook_id]
            changes.redeliver(delivery.pk, webhook, request.user.identity, database_clock.now())
        self.message_user(request, f"On their way again: {len(sent)}.", messages.SUCCESS)
