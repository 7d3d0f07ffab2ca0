"""Makes the corpus of fuzz_ranges in ranges/ beside this file; names are those of tests/unit/nn/tiny.onnx.

    python3 tests/fuzz/corpus/ranges.py
"""
import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ranges")
EIGHT, TWELVE = "ff4080" * 8, "80c040" * 12
SOUND = {"input": [-1.0, 1.0, "ff0080" * 3], "r1": [0.0, 3.5, EIGHT], "r2": [0, 2.25, TWELVE]}

CASES = {
    "sound": SOUND,
    "whole_values": {"input": [-2, 2, ""], "r1": [0, 4, ""]},
    "more_channels": {**SOUND, "r1": [0, 1, TWELVE]},
    "quiet_channels": {**SOUND, "r1": [0, 1, "010000" * 8]},
    "mean_at_its_ends": {**SOUND, "r1": [0, 1, "ff7fffff80ff" * 4]},
    "large": {"input": [-3e38, 3e38, ""], "r1": [0, 3e38, EIGHT]},
    "small": {"input": [-1e-38, 1e-38, ""], "r1": [0, 1e-44, EIGHT]},
    "unknown_value": {"nobody": [0, 1, ""]},
    "wrong_sides": {"r1": [1, 2, ""]},
    "nothing_seen": {"r1": [0, 0, ""]},
    "zero_channel": {"r1": [0, 1, "000000"]},
    "odd_digits": {"r1": [0, 1, "ff4"]},
    "no_digits": {"r1": [0, 1, "gg0000"]},
    "two_bounds": {"r1": [0, 1]},
    "text_bounds": {"r1": ["0", "1", ""]},
    "empty": {},
}


def text_of(case):
    items = (f'"{name}":{list(values)}'.replace("'", '"') for name, values in case.items())
    return "{" + ",".join(items) + "}"


TEXTS = {
    "overflow": '{"r1":[0,1e39,""]}',
    "twice": '{"r1":[0,1,""],"r1":[0,2,""]}',
    "array": '[[0,1,""]]',
    "deep": "[" * 200,
    "cut": text_of(SOUND)[:60],
}

os.makedirs(FOLDER, exist_ok=True)
for name, case in CASES.items():
    TEXTS[name] = text_of(case)
for name, text in TEXTS.items():
    with open(os.path.join(FOLDER, name), "w", encoding="ascii") as file:
        file.write(text)
