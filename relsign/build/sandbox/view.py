"""Which knobs of the profile are not in force in a container that just started.

Engines drop what they do not know, without a word: one runtime masks no folder,
another has no cgroup namespace.  So one command in the container looks for itself.
The knobs it misses go into the fingerprint (`profile.without`): two builders whose
engines differ get two ids and see why.

What it runs is data of the profile (`checks`): for each fixed knob some words of a
POSIX shell.  They may use these functions, which start no program, so that thirty
checks take a few milliseconds:

    text FILE           its text in $text, without the last line end; fails if unreadable
    line KEY            what follows KEY on a line of status or limits in /proc/self, in $line
    is ONE TWO          the two are the same text
    shows PATH          PATH holds what the profile binds there
    hidden PAT [EXCEPT] every masked path that matches is missing, unreadable or empty
    bare FOLDER         holds nothing
    mounted FOLDER      what is mounted there, in $line: its kind, a space, its options
    sized FOLDER BYTES  a tmpfs of that size is mounted there
    limit NAME WORDS    a line of /proc/self/limits has these two values
    variables           every variable of the profile has its value

and the profile's own values: $hostname $user $group $build_folder $build_bytes
$tmp_bytes $shm_bytes $memory_bytes $pids; and $start, the folder it began in, $newline.

The root file system is locked, so its shell is believed; a build that ran before
could lie, which is why this is called first.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import msgspec

from relsign.build.engine.container import Container
from relsign.build.limit import looking
from relsign.build.profile import Profile
from relsign.errors import HostError
from relsign.formats.canonical import shorten

MAX_ANSWER_BYTES = 1 << 16
END = "end of the list"

FUNCTIONS = r"""
newline='
'
start=$PWD
text() {
    [ -r "$1" ] || return 1
    text=
    while IFS= read -r line || [ -n "$line" ]; do text=$text$line$newline; done <"$1"
    text=${text%"$newline"}
}
line() {
    IFS=$newline
    for line in $lines; do
        case $line in
        "$1"*) IFS=$spaces; line=${line#"$1"}; line=${line#"${line%%[![:space:]]*}"}; return 0 ;;
        esac
    done
    IFS=$spaces
    return 1
}
is() { [ "$1" = "$2" ]; }
bare() {
    for each in "$1"/* "$1"/.[!.]*; do [ ! -e "$each" ] || return 1; done
}
veiled() {
    if [ -d "$1" ]; then bare "$1"
    elif [ -c "$1" ] || [ ! -r "$1" ]; then return 0
    else text "$1" && is "$text" ''; fi
}
hidden() {
    for path in $masked; do
        case $path in
        ${2-nothing}) ;;
        $1) veiled "$path" || return 1 ;;
        esac
    done
}
mounted() { line "mount $1 "; }
sized() {
    mounted "$1" && case $line, in tmpfs\ *,size=$(($2 / 1024))k,*) ;; *) return 1 ;; esac
}
limit() {
    line "Max $1 " || return 1
    want=$2
    set -- $line
    is "$1 $2" "$want"
}
# Cutting pieces out of a long text takes a shell time that grows with its square;
# going through its lines does not.
spaces=$IFS
IFS=$newline
lines=
for each in $(cat /proc/self/status /proc/self/limits /proc/self/mounts); do
    IFS=$spaces
    case $each in
    *' /proc/'* | *' /sys/'*) ;;
    *' /'*) set -- $each; lines="mount $2 $3 $4$newline$lines" ;;
    *) lines=$lines$each$newline ;;
    esac
done
"""


def missing_knobs(container: Container, profile: Profile) -> tuple[str, ...]:
    """Return the fixed knobs of `profile` that are not in force in `container`, sorted.

    The container must have just started: nothing of a build may have run in it.
    A profile of form 1 says nothing about how to look, so nothing is missed.
    Raises HostError if the container cannot tell, or not in time.
    """
    if profile.checks is msgspec.UNSET:
        return ()
    argv = (*profile.wrapper, profile.build_folder, view_script(profile))
    with looking(container):
        code, said = container.ask(argv, MAX_ANSWER_BYTES)
    *missing, last = said.decode("utf-8", "replace").splitlines() or [""]
    if code != 0 or last != END or not profile.fixed.keys() >= set(missing):
        raise HostError(
            "the container cannot say how it is set up",
            where=f"profile {profile.name}",
            expected="names of knobs",
            got=f"exit code {code}: {shorten(said.decode('utf-8', 'replace'), 200)}",
            hint="the environment needs a POSIX shell, GNU coreutils and setarch",
        )
    return tuple(sorted(missing))


def view_script(profile: Profile) -> str:
    """Return the shell commands that print the name of each knob not in force."""
    return "\n".join((*_values(profile), FUNCTIONS, *_shown(profile), *_checks(profile)))


def _values(profile: Profile) -> Iterator[str]:
    yield f"hostname={shlex.quote(profile.hostname)}"
    yield f"build_folder={shlex.quote(profile.build_folder)}"
    for name in ("user", "group", "pids"):
        yield f"{name}={getattr(profile, name)}"
    for name in ("build_bytes", "tmp_bytes", "shm_bytes", "memory_bytes"):
        yield f"{name}={getattr(profile, name)}"
    yield f"masked={shlex.quote(' '.join(profile.masked_paths))}"


def _shown(profile: Profile) -> Iterator[str]:
    """Give the functions whose bodies are values of the profile."""
    yield "shows() {\ncase $1 in"
    for path, body in sorted(profile.files.items()):
        yield f"{path}) {_holds(path, body)} ;;"
    for path, files in sorted(profile.folders.items()):
        held = (_holds(f"{path}/{inside}", body) for inside, body in sorted(files.items()))
        yield f"{path}) {' && '.join(held)} ;;"
    yield "*) return 1 ;;\nesac\n}"
    equal = (
        f'is "${{{name}-}}" {shlex.quote(value)}'
        for name, value in sorted(profile.environment.items())
    )
    yield f"variables() {{\n{' && '.join(equal)}\n}}"


def _holds(path: str, body: str) -> str:
    return f'text {path} && is "$text" {shlex.quote(body.removesuffix(chr(10)))}'


def _checks(profile: Profile) -> Iterator[str]:
    for number, (knob, words) in enumerate(sorted((profile.checks or {}).items())):
        yield f"check_{number}() {{\n{words}\n}}"
        yield f"check_{number} || echo {shlex.quote(knob)}"
    yield f"echo {shlex.quote(END)}"
