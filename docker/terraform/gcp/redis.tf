resource "google_redis_instance" "redis" {
  name           = var.name
  display_name   = "The Redis of DTQ: hints, which may be lost"
  tier           = "STANDARD_HA"
  memory_size_gb = var.redis_memory_gib
  redis_version  = "REDIS_7_2"

  authorized_network = var.network_id
  connect_mode       = "PRIVATE_SERVICE_ACCESS"

  transit_encryption_mode = "SERVER_AUTHENTICATION"
  auth_enabled            = true

  # What is evicted is a task that waits longer than it must.
  redis_configs = {
    maxmemory-policy = "noeviction"
  }

  # It is filled again from the rows: there is nothing to keep.
  persistence_config {
    persistence_mode = "DISABLED"
  }
}
