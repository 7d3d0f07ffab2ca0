#!/usr/bin/env python3
"""The house's rules about includes, checked on the text of the sources.

1. Includes point one way: data/base <- data <- nn <- daemon <- api. api/client sees data/base only.
   daemon/main.c wires the pieces and is exempt, and so are the tests.
2. A library is known in one folder: its names and headers appear nowhere else (tests exempt).
3. An include in quotes is written from the project's root and names a file that is there (tests
   exempt).
4. Every header compiles alone and has a guard of its own.

Prints one line a violation and exits 1 when there is one."""

import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys

FOLDERS = ["data", "nn", "daemon", "api", "tests"]
LAYERS = ["data/base", "data", "nn", "daemon", "api"]
COMPOSITION_ROOT = "daemon/main.c"

# What only one folder may know: its names, its headers. archive_read_fn is our own; writing an
# archive is the client's business too.
HOMES = {
    "data": (r"\barchive_read_(?!fn\b)\w*", None),
    "nn": (r"\bdnnl_\w*", r"oneapi/.*"),
    "daemon": (r"\bsqlite3_\w*", r"sqlite3\.h"),
    "api": (r"\bMHD_\w*", r"microhttpd\.h"),
}
PACKAGES = [
    "gnutls", "jansson", "libarchive", "libmicrohttpd", "sqlite3", "libturbojpeg", "libjpeg",
    "libpng", "zlib", "libprotobuf-c", "libcurl", "cmocka",
]
GENERATED = {"onnx.pb-c.h"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)
# A comment, or a string, which may hold what looks like one.
COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|("(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')', re.DOTALL
)

STRING = re.compile(r'"(?:\\.|[^"\\\n])*"')


def blank(match):
    if match.group(1):
        return match.group(1)
    return " " + "\n" * match.group(0).count("\n")


def layer_of(path):
    """The index in LAYERS of the deepest folder that holds path; None outside of all."""
    best = None
    for i, layer in enumerate(LAYERS):
        if path.startswith(layer + "/") and (best is None or len(layer) > len(LAYERS[best])):
            best = i
    return best


def check_direction(source, name, text):
    for match in INCLUDE.finditer(text):
        included, line = match.group(1), text.count("\n", 0, match.start()) + 1
        if not included or included in GENERATED:
            continue
        if name.startswith("tests/"):
            continue
        if not (source / included).is_file():
            yield f'{name}:{line}: "{included}" is no file below the project\'s root'
        if name == COMPOSITION_ROOT:
            continue
        there = layer_of(included)
        if name.startswith("api/client/"):
            if there != LAYERS.index("data/base") and not included.startswith("api/client/"):
                yield f'{name}:{line}: the client includes "{included}", not data/base'
        elif there is None or there > layer_of(name):
            yield f'{name}:{line}: includes "{included}", which is above it'


def check_homes(name, text):
    if name.startswith("tests/"):
        return
    for home, (names, headers) in HOMES.items():
        if name.startswith(home + "/"):
            continue
        for match in re.finditer(names, STRING.sub(lambda m: " " * len(m.group(0)), text)):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{name}:{line}: {match.group(0)} belongs in {home}/"
        for match in INCLUDE.finditer(text):
            if headers and match.group(2) and re.fullmatch(headers, match.group(2)):
                yield f"{name}: <{match.group(2)}> belongs in {home}/"


def check_guard(name, text, guards):
    directives = re.findall(r"^[ \t]*#[ \t]*(\w+)[ \t]*(\S*)", text, re.MULTILINE)
    guarded = (
        len(directives) > 2
        and directives[0][0] == "ifndef"
        and directives[1] == ("define", directives[0][1])
        and directives[-1][0] == "endif"
    )
    if not guarded:
        yield f"{name}: has no include guard around all of it"
        return
    other = guards.setdefault(directives[0][1], name)
    if other != name:
        yield f"{name}: has the guard {directives[0][1]} of {other}"


def compile_alone(name, source, compiler, includes):
    # Twice, so that a guard that does not guard is seen too.
    program = f'#include "{name}"\n#include "{name}"\n'
    command = [compiler, "-std=gnu17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
               "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", f"-I{source}", *includes, "-xc", "-"]
    result = subprocess.run(command, input=program, capture_output=True, text=True)
    if result.returncode:
        first = next((line for line in result.stderr.splitlines() if "error:" in line), "")
        yield f"{name}: does not compile alone: {first or result.stderr.strip()}"


def package_includes():
    flags = []
    for package in PACKAGES:
        result = subprocess.run(["pkg-config", "--cflags-only-I", package], capture_output=True,
                                text=True)
        if result.returncode == 0:
            flags += ["-isystem" + flag[2:] for flag in result.stdout.split()]
    return flags


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=pathlib.Path, required=True, help="the project's root")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--include", action="append", default=[], help="of generated headers")
    arguments = parser.parse_args()
    source = arguments.source.resolve()

    violations, guards, headers = [], {}, []
    files = sorted(f for folder in FOLDERS for f in (source / folder).rglob("*.[ch]"))
    for file in files:
        name = file.relative_to(source).as_posix()
        text = COMMENT_OR_STRING.sub(blank, file.read_text(encoding="utf-8"))
        violations += check_direction(source, name, text)
        violations += check_homes(name, text)
        if name.endswith(".h"):
            headers.append(name)
            violations += check_guard(name, text, guards)
    includes = package_includes() + [f"-isystem{folder}" for folder in arguments.include]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        compiled = pool.map(
            lambda name: list(compile_alone(name, source, arguments.cc, includes)), headers
        )
        for found in compiled:
            violations += found
    if not headers:
        violations.append(f"{source}: no headers found")

    for violation in violations:
        print(violation)
    print(f"{len(files)} files, {len(headers)} headers, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
