"""Webhooks, what they are to be told, and what was delivered. New tables only."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds four tables."""

    dependencies = [
        ("accounts", "0005_audit_request_id"),
        ("tasks", "0012_origin_of_a_task"),
    ]

    operations = [
        migrations.CreateModel(
            name="TaskEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("event", models.CharField(max_length=24)),
                ("team_id", models.UUIDField()),
                ("task_id", models.UUIDField()),
                ("name", models.CharField(max_length=100)),
                ("queue", models.CharField(max_length=64)),
                ("attempts", models.PositiveIntegerField()),
                ("error", models.TextField()),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("url", models.CharField(max_length=2000)),
                ("events", models.JSONField()),
                ("description", models.CharField(default="", max_length=200)),
                ("active", models.BooleanField(default=True)),
                (
                    "disabled_reason",
                    models.CharField(default="", help_text="why it was switched off, if nobody did it", max_length=500),
                ),
                ("secret", models.CharField(max_length=64)),
                ("previous_secret", models.CharField(max_length=64, null=True)),
                (
                    "previous_secret_until",
                    models.DateTimeField(
                        help_text="until when messages are signed by the previous secret too", null=True
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.team"
                    ),
                ),
            ],
            options={
                "ordering": ("id",),
            },
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("webhook_id", models.UUIDField()),
                ("event", models.CharField(max_length=24)),
                ("task_id", models.UUIDField(help_text="of which task it tells; null: it is a test", null=True)),
                ("body", models.TextField()),
                (
                    "carrier_id",
                    models.UUIDField(help_text="the task that delivers it, the latest if it is delivered again"),
                ),
                ("created_at", models.DateTimeField()),
                ("delivered_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name_plural": "webhook deliveries",
                "indexes": [models.Index(fields=["webhook_id", "id"], name="deliveries_of_webhook")],
            },
        ),
        migrations.CreateModel(
            name="WebhookAttempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("attempt", models.PositiveIntegerField()),
                ("at", models.DateTimeField()),
                ("status_code", models.PositiveSmallIntegerField(help_text="null: there was no answer", null=True)),
                ("duration_ms", models.PositiveIntegerField()),
                ("error", models.TextField(default="")),
                (
                    "delivery",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tries", to="tasks.webhookdelivery"
                    ),
                ),
            ],
            options={
                "ordering": ("id",),
            },
        ),
    ]
