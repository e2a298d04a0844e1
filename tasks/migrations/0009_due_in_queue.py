"""Keeps what waits for a moment in order queue by queue, so that one queue's flood does not hide what is due in others."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Puts one index in the place of another."""

    dependencies = [("tasks", "0008_held_for_its_worker")]
    operations = [
        migrations.RemoveIndex(model_name="task", name="task_due_by_hold"),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["hold", "queue", "scheduled_at"], name="task_due_in_queue"),
        ),
    ]
