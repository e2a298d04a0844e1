"""Locks, and tasks that wait for one; waiting tasks are told apart by what they wait for before they are looked at."""

from django.db import migrations, models

import dtq_site.foundation.database


class Migration(migrations.Migration):
    """Adds two tables and two columns, and puts one index in the place of another."""

    dependencies = [("tasks", "0003_queue_weight_and_ageing")]
    operations = [
        migrations.CreateModel(
            name="NamedLock",
            fields=[
                ("name", dtq_site.foundation.database.KeyField(max_length=255, primary_key=True, serialize=False)),
                ("holder_id", models.UUIDField(db_index=True, help_text="the task of the attempt that holds it", null=True)),
                ("holder_token", models.PositiveBigIntegerField(default=0, help_text="that attempt's fencing token")),
                ("fencing_number", models.PositiveBigIntegerField(help_text="grows whenever the lock is taken")),
                ("ends_at", models.DateTimeField(db_index=True, null=True)),
                (
                    "touched_at",
                    models.DateTimeField(
                        help_text="when it was last taken or freed; a free one is forgotten after a day"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LockWaiter",
            fields=[
                ("task_id", models.UUIDField(primary_key=True, serialize=False)),
                ("name", dtq_site.foundation.database.KeyField(max_length=255)),
                ("rank", models.BigIntegerField()),
            ],
            options={"indexes": [models.Index(fields=["name", "rank", "task_id"], name="lock_line")]},
        ),
        migrations.AddField(
            model_name="task",
            name="lock",
            field=dtq_site.foundation.database.KeyField(
                help_text="the lock without which it must not run", max_length=255, null=True
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="lock_fencing_number",
            field=models.PositiveBigIntegerField(
                default=0, help_text="of the lock that its present attempt took last; 0: it has taken none"
            ),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["status", "hold", "scheduled_at"], name="task_due_by_hold"),
        ),
        migrations.RemoveIndex(model_name="task", name="task_due"),
    ]
