"""The smallest project of each language that `relsign init` knows, as files of a git commit."""

from __future__ import annotations

import subprocess
from pathlib import Path

CONFIGURE = """#!/bin/sh
printf 'CFLAGS = -g -O2\\nprefix = /usr\\n' >config.mk
for word; do
    case $word in
    CFLAGS=*) echo "CFLAGS = ${word#*=}" >>config.mk ;;
    --prefix=*) echo "prefix = ${word#*=}" >>config.mk ;;
    esac
done
"""
MAKEFILE = """include config.mk
hello: hello.c
\t$(CC) $(CFLAGS) -o $@ hello.c
install-strip: hello
\tmkdir -p "$(DESTDIR)$(prefix)/bin"
\tinstall -s hello "$(DESTDIR)$(prefix)/bin/hello"
"""
C = """#include <assert.h>
#include <stdio.h>

int main(void) { assert(puts("hello") > 0); return 0; }
"""

FILES: dict[str, dict[str, str]] = {
    "c": {"configure": CONFIGURE, "Makefile": MAKEFILE, "hello.c": C},
    "cmake": {
        "CMakeLists.txt": "cmake_minimum_required(VERSION 3.18)\nproject(hello C)\n"
        "add_executable(hello hello.c)\ninstall(TARGETS hello)\n",
        "hello.c": C,
    },
    "go": {
        "go.mod": "module example.org/hello\n\ngo 1.19\n",
        "main.go": 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello") }\n',
    },
    "java": {
        "src/main/java/Hello.java": "class Hello {\n"
        '    public static void main(String[] a) { System.out.println("hello"); }\n}\n',
    },
    "node": {
        "package.json": '{"name": "hello", "version": "1.0.0", "main": "index.js"}\n',
        "index.js": "console.log('hello')\n",
    },
    "python": {
        "pyproject.toml": '[build-system]\nrequires = ["hatchling"]\n'
        'build-backend = "hatchling.build"\n\n[project]\nname = "hello"\nversion = "1.0"\n'
        'requires-python = ">=3.9"\n',
        "src/hello/__init__.py": 'print("hello")\n',
    },
    "rust": {
        "Cargo.toml": '[package]\nname = "hello"\nversion = "1.0.0"\nedition = "2021"\n',
        "Cargo.lock": 'version = 3\n\n[[package]]\nname = "hello"\nversion = "1.0.0"\n',
        "src/main.rs": "fn main() {\n    let word: Vec<u8> = vec![104];\n"
        '    assert!(word[0] > 1);\n    println!("hello");\n}\n',
    },
}

VERSIONS = {"node": "1.0.0"}
"""npm takes no version of two numbers."""


def make_checkout(folder: Path, language: str) -> Path:
    """Write the project as a repository of one commit, of a day long past."""
    for name, text in FILES[language].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "hello")
    return folder


def git(folder: Path, *words: str) -> str:
    """Run git as somebody, on a day long past; return what it says."""
    who = {"NAME": "somebody", "EMAIL": "somebody@example.org", "DATE": "1700000000 +0000"}
    environment = {f"GIT_{role}_{key}": value for key, value in who.items()
                   for role in ("AUTHOR", "COMMITTER")}  # fmt: skip
    environment |= {"GIT_CONFIG_GLOBAL": "/dev/null", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ("git", "-C", folder, *words), env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout
