"""What becomes of a task whose worker is cut off for longer than its lease, and until when it is kept for that worker."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds two columns."""

    dependencies = [("tasks", "0007_dependencies")]
    operations = [
        migrations.AddField(
            model_name="task",
            name="when_lost",
            field=models.CharField(
                choices=[("REASSIGN", "REASSIGN"), ("HOLD", "HOLD")], default="REASSIGN", max_length=8
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="held_until",
            field=models.DateTimeField(
                help_text="until when it is kept for its worker although its lease has ended; null: it is not", null=True
            ),
        ),
    ]
