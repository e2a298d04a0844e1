"""Queues get a share of the workers that serve several, and ageing; tasks keep apart since when their age counts."""

from django.db import migrations, models
from django.db.models import F

STRICT_LEVEL_MS = 2**42  # of which every rank was made before queues could age


def take_ready_ms_out_of_rank(apps, schema_editor):
    """The moment that is in each rank, in a column of its own."""
    apps.get_model("tasks", "Task").objects.update(ready_ms=F("rank") - (100 - F("priority")) * STRICT_LEVEL_MS)


class Migration(migrations.Migration):
    """Adds columns; every queue starts with an equal share and strict priority."""

    dependencies = [("tasks", "0002_default_queue")]
    operations = [
        migrations.AddField(
            model_name="queue",
            name="weight",
            field=models.PositiveSmallIntegerField(
                default=1, help_text="its share of workers that serve several queues"
            ),
        ),
        migrations.AddField(
            model_name="queue",
            name="ageing_seconds",
            field=models.PositiveIntegerField(
                help_text="the age that is worth one level of priority; null is none: priority is strict", null=True
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="ready_ms",
            field=models.BigIntegerField(default=0, help_text="since when its age counts, in milliseconds since 1970"),
            preserve_default=False,
        ),
        migrations.RunPython(take_ready_ms_out_of_rank, migrations.RunPython.noop),
    ]
