"""Every setting of the service: read from the environment once, checked before anything starts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jwt
from click import ClickException
from environs import Env, EnvValidationError, validate
from redis.connection import parse_url
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

ROOT = Path(__file__).parent
EMBEDDED_DATABASE = f"sqlite:///{ROOT / 'data' / 'inventory.db'}"
MAX_QUANTITY = 1_000_000_000
LOCK_WAIT_SECONDS = 3
STATEMENT_SECONDS = 9  # less than the driver waits for an answer
IDLE_TRANSACTION_SECONDS = 10  # so long a transaction whose owner is gone keeps its locks
# A container must listen to everybody; whoever does asks for keys, see `checked`.
EVERYWHERE = "0.0.0.0"  # nosec B104
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
SHORTEST_SECRET = 32
EXAMPLE = re.compile(r"change.?(me|it|this)|example|your.?(secret|password|key)|placeholder|insecure|openssl", re.I)
GUESSED = frozenset({"password", "passw0rd", "secret", "inventory", "mysql", "mariadb", "redis", "root", "admin"})
JWT_ALGORITHMS = ("RS256", "ES256", "HS256")
SQL_MODE = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"


class ConfigurationError(ClickException):
    """The environment does not make a service that could run safely. On the command line it is told in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The checked settings. The README's table says what each one is for; what is secret is not shown."""

    env: str = "production"
    database_url: str = field(default=EMBEDDED_DATABASE, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    product_service_url: str | None = field(default=None, repr=False)
    product_service_timeout_seconds: float = 1.0
    secret_key: str = field(default="", repr=False)
    require_api_key: bool = False
    jwt_algorithm: str | None = None
    jwt_keys: tuple[str, ...] = field(default=(), repr=False)
    jwt_audience: str | None = None
    jwt_issuer: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: int = 0
    cors_origins: tuple[str, ...] = ()
    rate_limit_requests_per_minute: int = 0
    host: str = EVERYWHERE
    port: int = 5000
    web_processes: int = 2
    web_threads: int = 16
    client_header_seconds: float = 10.0
    client_body_seconds: float = 30.0
    client_answer_seconds: float = 30.0
    client_queue_seconds: float = 3.0
    drain_seconds: float = 0.0
    log_level: str = "INFO"
    cache_default_timeout: int = 300
    list_cache_seconds: int = 5
    reservation_ttl_seconds: int = 1800
    reservation_max_ttl_seconds: int = 86_400
    hold_budget_units: int = 0
    hold_budget_holds: int = 0
    hold_budget_expiries: int = 0
    hold_budget_window_seconds: int = 3600
    hold_budget_cool_down_seconds: int = 900
    expiry_interval_seconds: float = 5.0
    expiry_batch_size: int = 500
    audit_interval_seconds: int = 3600
    allocation_strategy: str = "priority"
    default_page_size: int = 20
    max_page_size: int = 100
    worker_metrics_port: int | None = None

    @classmethod
    def from_env(cls) -> Config:
        """Read the environment; raises `ConfigurationError` naming every setting that is wrong."""
        env = Env(eager=False)
        values = _read(env)
        try:
            env.seal()
        except EnvValidationError as error:
            told = error.error_messages
            problems = told.items() if isinstance(told, Mapping) else enumerate(told)
            listed = "; ".join(f"{name}: {' '.join(map(str, why))}" for name, why in problems)
            raise ConfigurationError(f"the environment is not valid: {listed}") from None
        return cls(**values).checked()

    def checked(self) -> Config:
        """Refuse combinations that would lose or leak something; fill in what follows from the rest."""
        if self.is_production and not (self.database_url and self.redis_url):
            raise ConfigurationError(
                "production needs DATABASE_URL and REDIS_URL; for a laptop use FLASK_ENV=development"
            )
        _check_redis(self.redis_url)
        if self.jwt_algorithm:
            _check_jwt(self.jwt_algorithm, self.jwt_keys, self.jwt_audience)
        if self.reservation_max_ttl_seconds < self.reservation_ttl_seconds:
            raise ConfigurationError("RESERVATION_MAX_TTL_SECONDS must not be below RESERVATION_TTL_SECONDS")
        if self.product_service_url and not self.product_service_url.startswith(("http://", "https://")):
            raise ConfigurationError("PRODUCT_SERVICE_URL must begin with http:// or https://")
        if self.is_production and "*" in self.cors_origins:
            raise ConfigurationError("CORS_ORIGINS must name the origins in production; * would let every page call")
        if self.max_page_size < self.default_page_size:
            raise ConfigurationError("MAX_PAGE_SIZE must not be below DEFAULT_PAGE_SIZE")
        url = normalised(self.database_url or EMBEDDED_DATABASE)
        if self.is_production:
            _check_secrets(self)
        # Cursors are signed so that a client cannot forge one. Every process of one deployment must
        # agree on the key, and the database's URL is a secret they share already.
        secret = self.secret_key or hashlib.sha256(f"inventory:{url}".encode()).hexdigest()
        # Only development on this machine's own loopback goes without keys.
        open_to_others = self.env == "development" and self.host not in LOOPBACK
        required = self.require_api_key or self.is_production or open_to_others
        return replace(self, database_url=url, secret_key=secret, require_api_key=required)

    @property
    def is_production(self) -> bool:
        return self.env == "production"

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    def for_flask(self) -> dict[str, Any]:
        """The keys that Flask and its extensions look for."""
        return {
            "SECRET_KEY": self.secret_key,
            "TESTING": self.env == "testing",
            "SQLALCHEMY_DATABASE_URI": self.database_url,
            "SQLALCHEMY_ENGINE_OPTIONS": _engine_options(self),
            # Definitions that are only reached through a $ref would otherwise be left out of the page.
            "RESTX_INCLUDE_ALL_MODELS": True,
            "RESTX_MASK_SWAGGER": False,
            "SWAGGER_UI_DOC_EXPANSION": "list",
            "ERROR_INCLUDE_MESSAGE": False,
        }


def _check_secrets(config: Config) -> None:
    """What stands in an example, in everybody's first guess or in a line of the same letter keeps nobody out."""
    for name, secret in {"SECRET_KEY": config.secret_key, "JWT_KEY": " ".join(config.jwt_keys)}.items():
        if secret and (len(secret) < SHORTEST_SECRET or len(set(secret)) < 8 or EXAMPLE.search(secret)):
            raise ConfigurationError(
                f"{name} must have {SHORTEST_SECRET} random characters or more in production: openssl rand -hex 24"
            )
    for name, url in {"DATABASE_URL": config.database_url, "REDIS_URL": config.redis_url or ""}.items():
        user, password = _login(url)
        if user is not None and (password.lower() in {"", *GUESSED} or EXAMPLE.search(password)):
            raise ConfigurationError(f"{name} has a login that anybody would guess; production does not start with it")


def _login(url: str) -> tuple[str | None, str]:
    parsed = make_url(url) if "@" in url else None
    return (parsed.username or "", parsed.password or "") if parsed else (None, "")


def _check_redis(url: str | None) -> None:
    try:
        if url:
            parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError:
        raise ConfigurationError("REDIS_URL is not a Redis URL, such as redis://host:6379/0") from None


def _check_jwt(algorithm: str, keys: tuple[str, ...], audience: str | None) -> None:
    """A key that anybody could guess, or that could sign as well as verify, must not be here."""
    if not keys or not audience:
        raise ConfigurationError(
            "JWT_ALGORITHM needs JWT_KEY and JWT_AUDIENCE, so that no other service's tokens count"
        )
    for key in keys:
        if algorithm == "HS256" and len(key.encode()) < 32:
            raise ConfigurationError("JWT_KEY must have 32 bytes or more for HS256 (RFC 7518, 3.2)")
        if "PRIVATE KEY" in key:
            raise ConfigurationError("JWT_KEY must be the public key; whoever signs the tokens keeps the private one")
        try:
            kind = jwt.get_algorithm_by_name(algorithm)
            too_short = kind.check_key_length(kind.prepare_key(key))
        except (jwt.InvalidKeyError, ValueError):
            raise ConfigurationError(f"JWT_KEY holds no key for {algorithm}") from None
        if too_short:
            raise ConfigurationError(f"JWT_KEY is not safe: {too_short}")


def _jwt_keys(algorithm: str | None, given: str) -> tuple[str, ...]:
    """The keys one after the other; a PEM may have its line ends written as backslash and n."""
    if algorithm in (None, "HS256"):
        return tuple(given.split())
    return tuple(re.findall(r"-----BEGIN [^-]+-----.+?-----END [^-]+-----", given.replace("\\n", "\n"), re.DOTALL))


def normalised(url: str) -> str:
    """The same database, with the driver and character set this service relies on."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError("DATABASE_URL is not a database URL") from None
    if parsed.get_backend_name() in {"mysql", "mariadb"}:
        if not (parsed.host and parsed.database):
            raise ConfigurationError("DATABASE_URL must name the host and the database")
        parsed = parsed.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"})
    elif parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigurationError("DATABASE_URL must name a file: SQLite in memory is another one for each thread")
    else:
        raise ConfigurationError(
            f"DATABASE_URL names {parsed.get_backend_name()}; mysql, mariadb and sqlite are supported"
        )
    return parsed.render_as_string(hide_password=False)


def _read(env: Env) -> dict[str, Any]:
    algorithm = env.str("JWT_ALGORITHM", None, validate=validate.OneOf(["", *JWT_ALGORITHMS])) or None
    kind = env.str("FLASK_ENV", "production", validate=validate.OneOf(["production", "development", "testing"]))
    production = kind == "production"
    positive = validate.Range(min=1)
    ttl = validate.Range(min=1, max=31_536_000)
    patience = validate.Range(min=0.1, max=3600)
    return {
        "env": kind,
        "database_url": env.str("DATABASE_URL", "" if production else EMBEDDED_DATABASE),
        "redis_url": env.str("REDIS_URL", None) or None,
        "product_service_url": env.str("PRODUCT_SERVICE_URL", None) or None,
        "product_service_timeout_seconds": env.float(
            "PRODUCT_SERVICE_TIMEOUT_SECONDS", 1.0, validate=validate.Range(min=0.01, max=30)
        ),
        "secret_key": env.str("SECRET_KEY", ""),
        "require_api_key": env.bool("REQUIRE_API_KEY", False),
        "jwt_algorithm": algorithm,
        "jwt_keys": _jwt_keys(algorithm, env.str("JWT_KEY", "")),
        "jwt_audience": env.str("JWT_AUDIENCE", None) or None,
        "jwt_issuer": env.str("JWT_ISSUER", None) or None,
        "allowed_hosts": tuple(env.list("ALLOWED_HOSTS", [])),
        "trusted_proxies": env.int("TRUSTED_PROXIES", 0, validate=validate.Range(min=0, max=10)),
        "cors_origins": tuple(env.list("CORS_ORIGINS", [])),
        "rate_limit_requests_per_minute": env.int(
            "RATE_LIMIT_REQUESTS_PER_MINUTE", 0, validate=validate.Range(min=0, max=10_000_000)
        ),
        "host": env.str("HOST", EVERYWHERE),
        "port": env.int("PORT", 5000, validate=validate.Range(min=1, max=65_535)),
        "web_processes": env.int("WEB_PROCESSES", 2, validate=positive),
        "web_threads": env.int("WEB_THREADS", 16, validate=positive),
        "client_header_seconds": env.float("CLIENT_HEADER_SECONDS", 10.0, validate=patience),
        "client_body_seconds": env.float("CLIENT_BODY_SECONDS", 30.0, validate=patience),
        "client_answer_seconds": env.float("CLIENT_ANSWER_SECONDS", 30.0, validate=patience),
        "client_queue_seconds": env.float("CLIENT_QUEUE_SECONDS", 3.0, validate=patience),
        "drain_seconds": env.float(
            "DRAIN_SECONDS", 5.0 if production else 0.0, validate=validate.Range(min=0, max=600)
        ),
        "log_level": env.str("LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])),
        "cache_default_timeout": env.int("CACHE_DEFAULT_TIMEOUT", 300, validate=validate.Range(min=0)),
        "list_cache_seconds": env.int("LIST_CACHE_SECONDS", 5, validate=validate.Range(min=0)),
        "reservation_ttl_seconds": env.int("RESERVATION_TTL_SECONDS", 1800, validate=ttl),
        "reservation_max_ttl_seconds": env.int("RESERVATION_MAX_TTL_SECONDS", 86_400, validate=ttl),
        "hold_budget_units": env.int("HOLD_BUDGET_UNITS", 0, validate=validate.Range(min=0, max=MAX_QUANTITY)),
        "hold_budget_holds": env.int("HOLD_BUDGET_HOLDS", 0, validate=validate.Range(min=0, max=1_000_000)),
        "hold_budget_expiries": env.int("HOLD_BUDGET_EXPIRIES", 0, validate=validate.Range(min=0, max=1000)),
        "hold_budget_window_seconds": env.int("HOLD_BUDGET_WINDOW_SECONDS", 3600, validate=ttl),
        "hold_budget_cool_down_seconds": env.int("HOLD_BUDGET_COOL_DOWN_SECONDS", 900, validate=ttl),
        "expiry_interval_seconds": env.float("EXPIRY_INTERVAL_SECONDS", 5.0, validate=validate.Range(min=0.1)),
        "expiry_batch_size": env.int("EXPIRY_BATCH_SIZE", 500, validate=validate.Range(min=1, max=5000)),
        "audit_interval_seconds": env.int("AUDIT_INTERVAL_SECONDS", 3600, validate=validate.Range(min=0, max=86_400)),
        "allocation_strategy": env.str(
            "ALLOCATION_STRATEGY", "priority", validate=validate.OneOf(["priority", "most_stock"])
        ),
        "default_page_size": env.int("DEFAULT_PAGE_SIZE", 20, validate=positive),
        "max_page_size": env.int("MAX_PAGE_SIZE", 100, validate=positive),
        "worker_metrics_port": env.int("WORKER_METRICS_PORT", None, validate=validate.Range(min=1, max=65_535)),
    }


def _engine_options(config: Config) -> dict[str, Any]:
    if config.is_sqlite:
        return {"hide_parameters": True, "connect_args": {"timeout": 15}}
    return {
        # The values of a failed statement are customers' data, and some are hashes of secrets; errors are logged.
        "hide_parameters": True,
        # Under MySQL's default, REPEATABLE READ, a check made after any earlier read sees old rows and oversells.
        "isolation_level": "READ COMMITTED",
        "pool_pre_ping": True,
        "pool_recycle": 1800,
        "pool_size": config.web_threads,
        "max_overflow": 5,
        "pool_timeout": 5,
        "pool_use_lifo": True,
        # PyMySQL waits for ever unless told otherwise, and InnoDB waits 50 s for a lock.
        "connect_args": {
            "connect_timeout": 3,
            "read_timeout": 10,
            "write_timeout": 10,
            "init_command": f"SET SESSION time_zone='+00:00', innodb_lock_wait_timeout={LOCK_WAIT_SECONDS}, "
            f"sql_mode='{SQL_MODE}'",
        },
    }
