"""Settings: read once, checked, refused with a clear message."""

import secrets

import pytest

from config import Config, ConfigurationError, normalised

RANDOM = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"
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
    assert read(monkeypatch, **SERVER, SECRET_KEY=RANDOM).secret_key == RANDOM


@pytest.mark.parametrize(
    "secret",
    [
        "short",
        RANDOM[:31],
        "a" * 64,
        "change-me-change-me-change-me-change-me",
        "your_secret_key_goes_right_here_please",
        "this-is-an-example-and-not-a-secret",
        "$(openssl rand -hex 24) of the example",
    ],
)
def test_production_refuses_a_signing_key_that_is_none_and_does_not_repeat_it(monkeypatch, secret):
    with pytest.raises(ConfigurationError, match="SECRET_KEY") as refused:
        read(monkeypatch, **SERVER, SECRET_KEY=secret)
    assert secret not in str(refused.value)
    assert read(monkeypatch, FLASK_ENV="development", SECRET_KEY=secret).secret_key == secret


@pytest.mark.parametrize("password", ["password", "Secret", "inventory", "ROOT", "change_me", "example-%77ord"])
@pytest.mark.parametrize("setting", ["DATABASE_URL", "REDIS_URL"])
def test_production_refuses_a_password_that_anybody_would_guess_and_does_not_repeat_it(monkeypatch, setting, password):
    urls = {"DATABASE_URL": "mysql://inventory:{}@db/stock", "REDIS_URL": "redis://:{}@cache/0"}
    with pytest.raises(ConfigurationError, match=setting) as refused:
        read(monkeypatch, **(SERVER | {setting: urls[setting].format(password)}))
    assert password not in str(refused.value)
    given = {"FLASK_ENV": "development", setting: urls[setting].format(password)}
    assert read(monkeypatch, **given).env == "development"


def test_settings_that_are_shown_show_no_secret(monkeypatch):
    made = secrets.token_hex(24)
    urls = {"DATABASE_URL": f"mysql://inventory:{made}@db/x", "REDIS_URL": f"redis://:{made}@cache/0"}
    product = {"PRODUCT_SERVICE_URL": f"http://us:{made}@products"}
    jwt = {"JWT_ALGORITHM": "HS256", "JWT_KEY": made, "JWT_AUDIENCE": "shop"}
    config = read(monkeypatch, **(SERVER | urls | product | jwt), SECRET_KEY=made)
    assert (made in repr(config), "env='production'" in repr(config)) == (False, True)


@pytest.mark.parametrize("login", ["inventory", "inventory:"])
def test_production_refuses_a_database_that_asks_for_no_password(monkeypatch, login):
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        read(monkeypatch, **(SERVER | {"DATABASE_URL": f"mysql://{login}@db/stock"}))


def test_what_the_example_file_tells_to_make_is_accepted(monkeypatch):
    made = secrets.token_hex(24)
    urls = {"DATABASE_URL": f"mysql://inventory:{made}@mysql:3306/inventory", "REDIS_URL": "redis://redis:6379/0"}
    assert read(monkeypatch, **(SERVER | urls), SECRET_KEY=made).secret_key == made
