"""The audit log tells by which request something was done."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds a column to the audit log."""

    dependencies = [("accounts", "0004_audit_indexes")]
    operations = [
        migrations.AddField(
            "auditentry",
            "request_id",
            models.CharField(
                blank=True,
                default="",
                editable=False,
                help_text="of the request by which it was done, if it was one",
                max_length=64,
            ),
        ),
    ]
