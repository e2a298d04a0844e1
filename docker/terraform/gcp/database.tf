resource "google_sql_database_instance" "database" {
  name                = var.name
  database_version    = "MYSQL_8_0"
  deletion_protection = true

  settings {
    tier                        = var.database_tier
    edition                     = "ENTERPRISE"
    availability_type           = "REGIONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = var.database_storage_gib
    disk_autoresize             = true
    deletion_protection_enabled = true

    ip_configuration {
      ipv4_enabled    = false
      private_network = var.network_id
      ssl_mode        = "ENCRYPTED_ONLY"
      # Certificates of this authority bear the name of the instance, which DTQ verifies.
      server_ca_mode = "GOOGLE_MANAGED_CAS_CA"
    }

    backup_configuration {
      enabled                        = true
      start_time                     = "03:00"
      binary_log_enabled             = true
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = var.backup_days
      }
    }

    dynamic "database_flags" {
      for_each = {
        # DTQ asks for these in its own sessions; here they are for everybody else's.
        transaction_isolation = "READ-COMMITTED"
        character_set_server  = "utf8mb4"
        default_time_zone     = "+00:00"
        # One statement carries up to 4 MiB, which escaped is up to 3.5 times as much.
        max_allowed_packet = "67108864"
        max_connections    = tostring(var.database_max_connections)
      }
      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }
  }
}

resource "google_sql_database" "database" {
  name      = "dtq"
  instance  = google_sql_database_instance.database.name
  charset   = "utf8mb4"
  collation = "utf8mb4_0900_ai_ci"
}

resource "google_sql_user" "dtq" {
  name     = "dtq"
  instance = google_sql_database_instance.database.name
  host     = "%"
  password = var.database_password
}
