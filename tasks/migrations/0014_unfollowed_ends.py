"""Ends of tasks for which more others wait than one transaction lets go on."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds a table."""

    dependencies = [("tasks", "0013_webhooks")]
    operations = [
        migrations.CreateModel(
            name="UnfollowedEnd",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("task_id", models.UUIDField()),
            ],
        ),
    ]
