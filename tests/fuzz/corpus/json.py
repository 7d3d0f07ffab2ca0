"""Makes the seeds in corpus/json: whole, broken and hostile texts."""

import pathlib

FOLDER = pathlib.Path(__file__).parent / "json"
SEEDS = {
    "members": b'{"name":"dogs","count":5,"rate":0.25,"flag":true,"object":{},"array":[1,"a"]}',
    "null_members": b'{"name":"d","count":null}',
    "missing": b'{"count":5}',
    "unknown": b'{"name":"d","nome":1}',
    "range": b'{"name":"","count":1001}',
    "deep": b"[" * 33 + b"]" * 33,
    "deepest": b'{"a":' * 31 + b"[]" + b"}" * 31,
    "unbalanced": b"]]]][[[[",
    "escapes": rb'["\u00e9\ud83d\ude00\n\"\\\/"," \u2028"]',
    "lone_surrogate": rb'"\ud800"',
    "zero_escape": rb'{"a\u0000b":"c\u0000d"}',
    "zero_byte": b'"a\0b"',
    "not_utf8": b'{"name":"caf\xe9"}',
    "utf8": '{"name":"caf\u00e9 \u72ac"}'.encode(),
    "numbers": b"[0,-0,1e308,-1.5e-300,9223372036854775807,0.1]",
    "overflow": b"[1e999,99999999999999999999]",
    "twice": b'{"a":1,"a":2}',
    "cut": b'{"name":"dogs","cou',
    "brackets_in_string": b'"' + b"[" * 50 + b'"',
    "workshop": b'{"data": "/9j/4AAQSkZJRg=="}',
    "empty": b"",
}

FOLDER.mkdir(exist_ok=True)
for name, data in SEEDS.items():
    (FOLDER / name).write_bytes(data)
