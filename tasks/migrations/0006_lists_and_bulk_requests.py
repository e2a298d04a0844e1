"""Lists in each order, and the counts of a team, are read off indexes; requests that concern many tasks are kept."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Changes the indexes and makes the table."""

    dependencies = [("tasks", "0005_names_in_line")]
    operations = [
        migrations.RemoveIndex(model_name="task", name="task_line"),
        migrations.RemoveIndex(model_name="task", name="task_due_by_hold"),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["team", "status", "id", "queue", "name"], name="task_of_team"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["queue", "status", "rank", "id", "name", "team"], name="task_line"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["status", "updated_at", "id", "team"], name="task_changed"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["hold", "scheduled_at"], name="task_due_by_hold"),
        ),
        migrations.RemoveIndex(model_name="task", name="task_newest_of_team"),
        migrations.RemoveIndex(model_name="task", name="task_end"),
        migrations.CreateModel(
            name="BulkRequest",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("verb", models.CharField(max_length=8)),
                ("filter", models.JSONField()),
                (
                    "requested_at",
                    models.DateTimeField(help_text="only tasks that were in a state to match then are concerned"),
                ),
                ("last_id", models.UUIDField(help_text="the last task that was looked at", null=True)),
                ("done", models.PositiveIntegerField(default=0)),
            ],
        ),
    ]
