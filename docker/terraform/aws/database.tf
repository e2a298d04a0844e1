resource "aws_db_subnet_group" "database" {
  name       = "${var.name}-database"
  subnet_ids = var.private_subnet_ids
}

resource "aws_security_group" "database" {
  name        = "${var.name}-database"
  description = "The database of DTQ"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each                     = var.client_security_group_ids
  security_group_id            = aws_security_group.database.id
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 3306
  to_port                      = 3306
}

resource "aws_db_parameter_group" "database" {
  name_prefix = "${var.name}-"
  family      = "mariadb10.11"
  description = "What DTQ wants of its database"

  dynamic "parameter" {
    for_each = {
      # Nothing goes over the wire in the clear.
      require_secure_transport = "1"
      # What has been accepted is on the disk.
      innodb_flush_log_at_trx_commit = "1"
      sync_binlog                    = "1"
      # DTQ asks for these in its own sessions; here they are for everybody else's.
      tx_isolation         = "READ-COMMITTED"
      character_set_server = "utf8mb4"
      collation_server     = "utf8mb4_unicode_ci"
      time_zone            = "UTC"
      # Under READ COMMITTED statements cannot be replicated as such.
      binlog_format = "ROW"
      # One statement carries up to 4 MiB, which escaped is up to 3.5 times as much.
      max_allowed_packet = "67108864"
      max_connections    = tostring(var.database_max_connections)
    }
    content {
      name         = parameter.key
      value        = parameter.value
      apply_method = "pending-reboot"
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "database" {
  identifier           = var.name
  engine               = "mariadb"
  engine_version       = "10.11"
  instance_class       = var.database_instance_class
  db_name              = "dtq"
  parameter_group_name = aws_db_parameter_group.database.name
  ca_cert_identifier   = "rds-ca-rsa2048-g1"

  # Secrets Manager makes the administrator's password, and Terraform's state does not have it.
  username                    = "administrator"
  manage_master_user_password = true

  db_subnet_group_name   = aws_db_subnet_group.database.name
  vpc_security_group_ids = [aws_security_group.database.id]
  publicly_accessible    = false
  multi_az               = true

  allocated_storage     = var.database_storage_gib
  max_allocated_storage = var.database_storage_gib * 5
  storage_type          = "gp3"
  storage_encrypted     = true

  backup_retention_period   = var.backup_days
  copy_tags_to_snapshot     = true
  deletion_protection       = true
  final_snapshot_identifier = "${var.name}-final"

  auto_minor_version_upgrade      = true
  enabled_cloudwatch_logs_exports = ["error", "slowquery"]
}
