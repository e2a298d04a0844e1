"""The audit log is looked through by who, what, of what and when."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds four indexes."""

    dependencies = [("accounts", "0003_worker_tokens")]
    operations = [
        migrations.AddIndex("auditentry", models.Index(fields=["actor", "id"], name="audit_of_actor")),
        migrations.AddIndex("auditentry", models.Index(fields=["action", "id"], name="audit_of_action")),
        migrations.AddIndex("auditentry", models.Index(fields=["target", "id"], name="audit_of_target")),
        migrations.AddIndex("auditentry", models.Index(fields=["at"], name="audit_at")),
    ]
