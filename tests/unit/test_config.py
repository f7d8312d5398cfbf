"""Settings: read once, checked, refused with a clear message."""

import pytest

from config import Config, ConfigurationError, normalised

SERVER = {"FLASK_ENV": "production", "DATABASE_URL": "mysql://u:p@db/inventory", "REDIS_URL": "redis://cache/0"}


def read(monkeypatch, **values):
    for name in ("FLASK_ENV", "DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return Config.from_env()


def test_development_needs_nothing_and_is_embedded(monkeypatch):
    config = read(monkeypatch, FLASK_ENV="development")
    assert (config.is_sqlite, config.redis_url, config.port, config.reservation_ttl_seconds) == (True, None, 5000, 1800)


@pytest.mark.parametrize("missing", ["DATABASE_URL", "REDIS_URL"])
def test_production_refuses_to_start_without_its_servers(monkeypatch, missing):
    given = {name: value for name, value in SERVER.items() if name != missing}
    with pytest.raises(ConfigurationError, match="DATABASE_URL and REDIS_URL"):
        read(monkeypatch, **given)


def test_production_is_what_nobody_said_otherwise(monkeypatch):
    with pytest.raises(ConfigurationError, match="production"):
        read(monkeypatch)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "http"),
        ("RESERVATION_TTL_SECONDS", "0"),
        ("EXPIRY_INTERVAL_SECONDS", "-1"),
        ("ALLOCATION_STRATEGY", "nearest"),
        ("FLASK_ENV", "staging"),
        ("LOG_LEVEL", "LOUD"),
        ("MAX_PAGE_SIZE", "ten"),
    ],
)
def test_a_wrong_value_is_refused_by_name(monkeypatch, name, value):
    with pytest.raises(ConfigurationError, match=name):
        read(monkeypatch, **({"FLASK_ENV": "development"} | {name: value}))


def test_every_wrong_value_is_named_at_once(monkeypatch):
    with pytest.raises(ConfigurationError, match=r"(?s)PORT.*LOG_LEVEL"):
        read(monkeypatch, FLASK_ENV="development", PORT="x", LOG_LEVEL="y")


def test_settings_that_contradict_each_other_are_refused(monkeypatch):
    with pytest.raises(ConfigurationError, match="RESERVATION_MAX_TTL_SECONDS"):
        read(monkeypatch, FLASK_ENV="development", RESERVATION_TTL_SECONDS="100", RESERVATION_MAX_TTL_SECONDS="50")


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_every_spelling_of_mysql_gets_the_driver_and_character_set_we_rely_on(scheme):
    assert normalised(f"{scheme}://u:p@h:3306/d") == "mysql+pymysql://u:p@h:3306/d?charset=utf8mb4"


def test_another_database_is_refused_by_name():
    with pytest.raises(ConfigurationError, match="postgresql"):
        normalised("postgresql://u:p@h/d")


def test_processes_of_one_deployment_agree_on_the_cursor_key_and_two_deployments_do_not(monkeypatch):
    one, again = read(monkeypatch, **SERVER), read(monkeypatch, **SERVER)
    other = read(monkeypatch, **(SERVER | {"DATABASE_URL": "mysql://u:p@db/other"}))
    assert one.secret_key == again.secret_key != other.secret_key
    assert read(monkeypatch, **SERVER, SECRET_KEY="mine").secret_key == "mine"
