output "database_host" {
  description = "DATABASE_HOST, and the host in DATABASE_URL: the name in the server's certificate."
  value       = google_sql_database_instance.database.dns_name
}

output "database_address" {
  description = "The private address of the database."
  value       = google_sql_database_instance.database.private_ip_address
}

output "database_authorities" {
  description = "The file for DATABASE_TLS_CA."
  value       = google_sql_database_instance.database.server_ca_cert[0].cert
}

output "redis_host" {
  description = "The host in REDIS_URL, which begins with rediss://."
  value       = google_redis_instance.redis.host
}

output "redis_port" {
  description = "The port in REDIS_URL."
  value       = google_redis_instance.redis.port
}

output "redis_password" {
  description = "The password in REDIS_URL."
  value       = google_redis_instance.redis.auth_string
  sensitive   = true
}

output "redis_authorities" {
  description = "The file for REDIS_TLS_CA."
  value       = google_redis_instance.redis.server_ca_certs[*].cert
}
