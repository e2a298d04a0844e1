"""Requests that concern many tasks may have a rate."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds two columns to requests."""

    dependencies = [("tasks", "0010_limits")]
    operations = [
        migrations.AddField(
            "bulkrequest",
            "rate",
            models.CharField(help_text="how fast it may go; null: as fast as can be", max_length=16, null=True),
        ),
        migrations.AddField(
            "bulkrequest",
            "full_at_us",
            models.BigIntegerField(
                default=0, help_text="when the bucket of its rate is full, in microseconds since 1970"
            ),
        ),
    ]
