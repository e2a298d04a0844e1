"""The only writer of requests that concern many tasks."""
