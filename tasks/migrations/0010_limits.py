"""Rates and caps of queues and handlers, and the lines of tasks that wait for them."""

from django.db import migrations, models

import dtq_site.foundation.database


class Migration(migrations.Migration):
    """Adds three tables, and columns of queues and tasks."""

    dependencies = [("tasks", "0009_due_in_queue")]
    operations = [
        migrations.CreateModel(
            name="HandlerLimits",
            fields=[
                ("name", dtq_site.foundation.database.KeyField(max_length=100, primary_key=True, serialize=False)),
                ("rate_limit", models.CharField(help_text='such as "100/m", or "none"', max_length=16, null=True)),
                ("burst", models.PositiveIntegerField(help_text="how many may start at once", null=True)),
                (
                    "concurrency_limit",
                    models.PositiveIntegerField(help_text="how many run at a time; 0 is no limit", null=True),
                ),
            ],
            options={
                "verbose_name_plural": "handler limits",
            },
        ),
        migrations.CreateModel(
            name="LimitState",
            fields=[
                ("limit", dtq_site.foundation.database.KeyField(max_length=375, primary_key=True, serialize=False)),
                (
                    "full_at_us",
                    models.BigIntegerField(
                        default=0,
                        help_text="of a rate, while Redis is away: when its bucket is full, in microseconds since 1970",
                    ),
                ),
                (
                    "made_at",
                    models.DateTimeField(
                        db_index=True, help_text="a day after that it is forgotten, and made anew if need be"
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="queue",
            name="burst",
            field=models.PositiveIntegerField(
                help_text="how many of them may start at once; null is what comes back within a tenth of a second",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="queue",
            name="concurrency_limit",
            field=models.PositiveIntegerField(
                help_text="how many of its tasks run at a time; null is no limit", null=True
            ),
        ),
        migrations.AddField(
            model_name="queue",
            name="rate_limit",
            field=models.CharField(
                help_text='how often its tasks start, such as "100/m"; null is no limit', max_length=16, null=True
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="capped",
            field=models.BooleanField(
                default=False, help_text="whether tasks may wait for the end of its present attempt"
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="limit_key",
            field=dtq_site.foundation.database.KeyField(
                help_text="what the limits of its handler count it under", max_length=255, null=True
            ),
        ),
        migrations.CreateModel(
            name="LimitWaiter",
            fields=[
                ("task_id", models.UUIDField(primary_key=True, serialize=False)),
                ("limit", dtq_site.foundation.database.KeyField(max_length=375)),
                ("queue", dtq_site.foundation.database.KeyField(max_length=64)),
                ("rank", models.BigIntegerField()),
            ],
            options={
                "indexes": [models.Index(fields=["limit", "queue", "rank", "task_id"], name="limit_line")],
            },
        ),
    ]
