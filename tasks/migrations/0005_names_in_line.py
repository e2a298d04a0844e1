"""The index of a queue's line bears the handlers' names too, so that lanes are filled from it alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes the index anew."""

    dependencies = [("tasks", "0004_locks")]
    operations = [
        migrations.RemoveIndex(model_name="task", name="task_line"),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["queue", "status", "rank", "id", "name"], name="task_line"),
        ),
    ]
