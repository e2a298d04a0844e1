"""Django's settings, built from the environment. The only reader of `os.environ`.

Every setting of the project is declared in an `options.py`; docs/CONFIGURATION.md lists them all. A value that is not
allowed stops the start with its name, the value and the remedy.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import environ

from accounts.options import AccountsOptions
from dtq_site import servers
from dtq_site.api.options import ApiOptions
from dtq_site.foundation.logging import logging_config
from dtq_site.foundation.options import OptionsError, load
from dtq_site.foundation.redis_clients import channel_host
from dtq_site.options import SiteOptions
from dtq_site.production import refusals
from scheduling.options import SchedulingOptions
from tasks.options import TasksOptions
from workers.options import RemoteOptions, WorkersOptions

BASE_DIR = Path(__file__).resolve().parent.parent

if os.environ.get("DTQ_ENV", "development") == "development" and (BASE_DIR / ".env").exists():
    environ.Env.read_env(BASE_DIR / ".env", overwrite=False)

# --- the options, all problems in one go ---------------------------------------------------------------------------

_problems: list[str] = []


def _load(cls: type) -> Any:
    try:
        return load(cls, os.environ)
    except OptionsError as error:
        _problems.extend(error.problems)
        return cls()


DTQ_SITE: SiteOptions = _load(SiteOptions)
DTQ_API: ApiOptions = _load(ApiOptions)
DTQ_ACCOUNTS: AccountsOptions = _load(AccountsOptions)
DTQ_TASKS: TasksOptions = _load(TasksOptions)
DTQ_WORKERS: WorkersOptions = _load(WorkersOptions)
DTQ_REMOTE: RemoteOptions = _load(RemoteOptions)
DTQ_SCHEDULING: SchedulingOptions = _load(SchedulingOptions)
PRODUCTION = DTQ_SITE.environment == "production"
DEBUG = not PRODUCTION

DATA_FOLDER = (BASE_DIR / DTQ_SITE.data_folder).resolve()
try:
    DATA_FOLDER.mkdir(parents=True, exist_ok=True)
except OSError as _error:
    if not PRODUCTION:
        _problems.append(
            f"DTQ_DATA_FOLDER={str(DATA_FOLDER)!r} cannot be made: {_error.strerror}. Make it writable, or name another folder."
        )

# --- servers -------------------------------------------------------------------------------------------------------

EMBEDDED_REDIS_FOLDER = DATA_FOLDER / "redis"
REDIS_IS_EMBEDDED = not (DTQ_SITE.redis_url or DTQ_SITE.redis_host)
REDIS_URL, DISPATCH_REDIS_URL = servers.redis_urls(DTQ_SITE, EMBEDDED_REDIS_FOLDER)
DATABASES = {"default": servers.database(DTQ_SITE, DATA_FOLDER)}
_problems.extend(servers.problems(DTQ_SITE))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- secrets -------------------------------------------------------------------------------------------------------


def _development_secret() -> str:
    path = DATA_FOLDER / "jwt-secret"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()


if PRODUCTION and not _problems:
    _problems.extend(refusals(DTQ_SITE, DTQ_ACCOUNTS, redis_is_embedded=REDIS_IS_EMBEDDED))
elif not DTQ_ACCOUNTS.jwt_secret and not _problems:
    try:
        DTQ_ACCOUNTS = replace(DTQ_ACCOUNTS, jwt_secret=_development_secret())
    except OSError as _error:
        _problems.append(
            f"{DATA_FOLDER} cannot be written: {_error.strerror}. Make it writable, or set DTQ_DATA_FOLDER."
        )
if _problems:
    raise OptionsError(_problems)

JWT_SECRET = DTQ_ACCOUNTS.jwt_secret
SECRET_KEY = hashlib.sha256(b"django:" + JWT_SECRET.encode()).hexdigest()

# --- Django --------------------------------------------------------------------------------------------------------

ALLOWED_HOSTS = list(DTQ_SITE.allowed_hosts) or ["*"]
INSTALLED_APPS = [
    "dtq_site.apps.DtqSiteConfig",
    "accounts",
    "tasks",
    "workers",  # before channels, which brings a command runworker of its own
    "scheduling",
    "channels",
    "corsheaders",
    "dtq_site.apps.OperatorsAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "graphene_django",
    "django_prometheus",
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "dtq_site.health.ProbesUnderAnyName",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
ROOT_URLCONF = "dtq_site.urls"
ASGI_APPLICATION = "dtq_site.asgi.application"
WSGI_APPLICATION = "dtq_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
CORS_ALLOWED_ORIGINS = list(DTQ_SITE.allowed_origins)
CORS_URLS_REGEX = r"^/(graphql|auth)(/|$)"
CORS_ALLOW_METHODS = ["GET", "HEAD", "POST", "OPTIONS"]
CORS_EXPOSE_HEADERS = ["Retry-After", "X-Request-ID"]
STATIC_URL = "/static/"
# Filled by collectstatic for production; where it was not, and in development, files are found in place.
STATIC_ROOT = Path(DTQ_SITE.static_folder or DATA_FOLDER / "static") if PRODUCTION else None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None or not STATIC_ROOT.is_dir()
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
# A proxy that is trusted with addresses is trusted to say by what a request came, too.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if DTQ_ACCOUNTS.trusted_proxies else None
SECURE_HSTS_SECONDS = int(DTQ_SITE.hsts.total_seconds()) if PRODUCTION else 0
SECURE_SSL_REDIRECT = PRODUCTION and DTQ_SITE.https_redirect
SECURE_REDIRECT_EXEMPT = [r"^auth/", r"^health(/|$)", r"^metrics$"]  # programs ask from within, past the proxy
# Behind a proxy that speaks TLS a form comes from https, and is sent on without.
CSRF_TRUSTED_ORIGINS = [f"https://*{host}" if host[0] == "." else f"https://{host}" for host in DTQ_SITE.allowed_hosts]
SESSION_COOKIE_AGE = int(DTQ_ACCOUNTS.refresh_expiration.total_seconds())
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
DATA_UPLOAD_MAX_MEMORY_SIZE = DTQ_API.max_request_bytes
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"prefix": "dtq", "hosts": [channel_host(REDIS_URL)]},
    }
}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": [REDIS_URL],  # one, whatever commas it has
        "KEY_PREFIX": "dtq",
        "OPTIONS": {"CONNECTION_FACTORY": "dtq_site.foundation.redis_clients.CacheConnections"},
    }
}
TASKS = {
    "default": {"BACKEND": "tasks.backend.DTQBackend", "QUEUES": []}
}  # any queue: it comes to be by its first task
SILENCED_SYSTEM_CHECKS = [
    "mysql.W003",  # unique texts above 255 characters are too long for MariaDB before 10.2
    *("security.W004", "security.W008"),  # dtq.W007 and dtq.W006 name our settings
    *("security.W005", "security.W021"),  # what other names of the domain do is not ours to decide
]

# --- accounts ------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.BCryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SIMPLE_JWT = {
    "SIGNING_KEY": JWT_SECRET,
    "ALGORITHM": "HS256",
    "ACCESS_TOKEN_LIFETIME": DTQ_ACCOUNTS.jwt_expiration,
    "REFRESH_TOKEN_LIFETIME": DTQ_ACCOUNTS.refresh_expiration,
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "USER_ID_FIELD": "id",
    "USER_ID_CLAIM": "sub",
}
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "dtq_site.rest.answer_error",
    "DEFAULT_THROTTLE_CLASSES": ["dtq_site.rest.RatePerAddress"],
}

# --- mail ----------------------------------------------------------------------------------------------------------

DEFAULT_FROM_EMAIL = DTQ_SITE.mail_from
EMAIL_TIMEOUT = 15  # a silent mail server must not hold a worker's slot for ever
if DTQ_SITE.mail_url:
    vars().update(environ.Env.email_url_config(DTQ_SITE.mail_url))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = DATA_FOLDER / "mail"

# --- logs ----------------------------------------------------------------------------------------------------------

LOGGING_CONFIG = "dtq_site.foundation.logging.apply"
LOGGING = logging_config(
    DTQ_SITE.log_level,
    as_json=PRODUCTION,
    colours=sys.stderr.isatty() or "FORCE_COLOR" in os.environ,
    task_level=DTQ_SITE.task_log_level,
)
