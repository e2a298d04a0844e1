output "database_host" {
  description = "DATABASE_HOST, and the host in DATABASE_URL."
  value       = aws_db_instance.database.address
}

output "administrator_secret_arn" {
  description = "Where Secrets Manager keeps the administrator's password, for making DTQ's own user."
  value       = aws_db_instance.database.master_user_secret[0].secret_arn
}

output "redis_host" {
  description = "The host in REDIS_URL, which begins with rediss://; it follows a failover."
  value       = aws_elasticache_replication_group.redis.primary_endpoint_address
}
