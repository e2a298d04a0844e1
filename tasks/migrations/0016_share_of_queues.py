"""Whose queue it is, of those that count against a team's share. A column without a value: older code inserts rows without it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds a column."""

    dependencies = [("tasks", "0015_claims_of_past_attempts")]
    operations = [
        migrations.AddField(
            model_name="queue",
            name="team_id",
            field=models.UUIDField(
                help_text="the team of whose share it is; null: of none, as the installation made it", null=True
            ),
        ),
    ]
