"""By which request, and within which trace, a task was made. Columns without a value: added at once, however many rows there are."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds two columns."""

    dependencies = [("tasks", "0011_paced_bulk_requests")]
    operations = [
        migrations.AddField(
            model_name="task",
            name="request_id",
            field=models.CharField(help_text="the id of the request that made it", max_length=64, null=True),
        ),
        migrations.AddField(
            model_name="task",
            name="traceparent",
            field=models.CharField(
                help_text="the span that made it, as W3C Trace Context writes it", max_length=55, null=True
            ),
        ),
    ]
