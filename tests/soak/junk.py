"""Requests that must be refused with 4xx and leave nothing behind: method, path, body and its type."""

RESERVATIONS = "/api/v1/reservations/"
JSON = "application/json"
JUNK = [
    ("POST", RESERVATIONS, b"{", JSON),
    ("POST", RESERVATIONS, b'{"quantity":NaN}', JSON),
    ("POST", RESERVATIONS, b'{"quantity":1e400}', JSON),
    ("POST", RESERVATIONS, b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}", JSON),
    ("POST", RESERVATIONS, b'{"product_id":"\xe9"}', JSON),
    ("POST", RESERVATIONS, b'{"product_id":"HOT-1","quantity":0,"order_id":"o","customer_id":"c"}', JSON),
    ("POST", RESERVATIONS, b'{"product_id":"HOT-1","quantity":1,"quantity":9,"order_id":"o","customer_id":"c"}', JSON),
    ("POST", RESERVATIONS, b'{"product_id":"HOT-1","quantity":1,"order_id":"o","customer_id":"c","id":"x"}', JSON),
    ("POST", RESERVATIONS, b'{"product_id":"NOBODY","quantity":1,"order_id":"o","customer_id":"c"}', JSON),
    ("POST", RESERVATIONS, b"product_id=HOT-1&quantity=1", "application/x-www-form-urlencoded"),
    ("PUT", "/api/v1/inventory/HOT-1", b'{"quantity":0}', JSON),
    ("POST", "/api/v1/inventory/HOT-1/adjust", b'{"quantity":-1000000000,"movement_type":"loss"}', JSON),
    ("POST", "/api/v1/inventory/HOT-1/adjust", b'{"quantity":5,"movement_type":"loss"}', JSON),
    ("GET", "/api/v1/inventory/?page=-1", b"", JSON),
    ("GET", "/api/v1/inventory/?nonsense=1", b"", JSON),
    ("GET", "/api/v1/inventory/%00", b"", JSON),
    ("GET", "/api/v1/movements/?after=zzz", b"", JSON),
    ("PATCH", "/api/v1/reservations/none", b'{"ttl_seconds":-1}', JSON),
]
