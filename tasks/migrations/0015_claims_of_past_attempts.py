"""By which claim an attempt ran that is over. Columns without a value: added at once, however many rows there are."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds two columns."""

    dependencies = [("tasks", "0014_unfollowed_ends")]
    operations = [
        migrations.AddField(
            model_name="task",
            name="settled_claim_id",
            field=models.UUIDField(help_text="the id of the claim whose outcome that was", null=True),
        ),
        migrations.AddField(
            model_name="taskattempt",
            name="claim_id",
            field=models.UUIDField(
                help_text="the id of its claim; versions before 0.2.0 did not keep it", null=True
            ),
        ),
    ]
