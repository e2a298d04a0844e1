"""The queue `default` is there from the start, so that it can be looked at and paused before its first task."""

from django.db import migrations

from dtq_site.foundation.database import sample_database_clock


def make(apps, schema_editor):
    """Insert the row."""
    queue = apps.get_model("tasks", "Queue")
    queue.objects.get_or_create(name="default", defaults={"created_at": sample_database_clock()})


class Migration(migrations.Migration):
    """Adds one row; going back leaves it, for tasks may be in it."""

    dependencies = [("tasks", "0001_initial")]
    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
