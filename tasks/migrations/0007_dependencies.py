"""Tasks that wait for others, and a mark on those that others were made to wait for."""

from django.db import migrations, models

import dtq_site.foundation.database


class Migration(migrations.Migration):
    """Adds a table and a column."""

    dependencies = [("tasks", "0006_lists_and_bulk_requests")]
    operations = [
        migrations.AddField(
            model_name="task",
            name="has_dependants",
            field=models.BooleanField(default=False, help_text="whether other tasks were ever made to wait for it"),
        ),
        migrations.CreateModel(
            name="Dependency",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("child_id", models.UUIDField()),
                ("parent_id", models.UUIDField()),
                (
                    "key",
                    dtq_site.foundation.database.KeyField(
                        help_text="by which the child finds its result; null: by its id", max_length=100, null=True
                    ),
                ),
                (
                    "on_failure",
                    models.CharField(choices=[("CANCEL", "CANCEL"), ("RUN", "RUN"), ("HOLD", "HOLD")], max_length=6),
                ),
                (
                    "satisfied",
                    models.BooleanField(default=False, help_text="whether the child waits for that parent no more"),
                ),
            ],
            options={
                "verbose_name_plural": "dependencies",
                "constraints": [
                    models.UniqueConstraint(fields=("child_id", "parent_id"), name="dependency_once"),
                ],
                "indexes": [
                    models.Index(fields=["parent_id", "satisfied", "child_id"], name="dependants"),
                    models.Index(fields=["child_id", "satisfied"], name="dependencies"),
                ],
            },
        ),
    ]
