"""The table of known causes; docs/reference/causes.md is the same for people.

Causes in front win where a reader may doubt: the special before the general.
"""

from __future__ import annotations

from relsign.build.explain.cause import Cause


def _cause(name: str, sentence: str, fix: str, *knobs: str, is_weak: bool = False) -> Cause:
    return Cause(name, sentence, fix, frozenset(knobs), is_weak)


_INPUTS = (
    _cause(
        "other-inputs",
        "The two builds did not start from the same recipe, sources, environment or profile.",
        "build both from the same commit and locks: `relsign fetch` and `relsign build` there",
    ),
)

_TIME = (
    _cause(
        "date-time-macros",
        "The C preprocessor put the time of compilation in: __DATE__, __TIME__ or __TIMESTAMP__.",
        "set SOURCE_DATE_EPOCH for gcc and clang, or take the macros out; "
        "-Werror=date-time finds them",
        "time",
        "time-zone",
    ),
    _cause(
        "time-zone",
        "A time is shown in the zone of the machine that built.",
        "set TZ=UTC, and format times with `date -u`, gmtime() or timezone.utc",
        "time-zone",
    ),
    _cause(
        "embedded-time",
        "The time of the build is written into a file.",
        "print the time of SOURCE_DATE_EPOCH instead: `date -u -d @$SOURCE_DATE_EPOCH`, "
        "or leave it out",
        "time",
    ),
    _cause(
        "gzip-time",
        "The gzip header holds the time of compression.",
        "compress with `gzip -n`; in Python gzip.GzipFile(mtime=0)",
        "time",
    ),
    _cause(
        "gzip-name",
        "The gzip header holds the name of the file that was compressed, or a comment.",
        "compress with `gzip -n`, or from standard input",
        "folder",
    ),
    _cause(
        "tar-time",
        "Members of a tar file carry the times at which the build made them.",
        "tar --mtime=@$SOURCE_DATE_EPOCH --clamp-mtime --format=ustar",
        "time",
    ),
    _cause(
        "zip-time",
        "Members of a zip file carry the times at which the build made them.",
        "before zipping: find . -exec touch -hd @$SOURCE_DATE_EPOCH {} +; "
        'for jar: --date="$(date -u -d @$SOURCE_DATE_EPOCH +%FT%TZ)"',
        "time",
    ),
    _cause(
        "ar-time",
        "Members of a static library carry the times of their object files.",
        "ARFLAGS=Dcr and `ranlib -D`: the letter D writes zeros",
        "time",
    ),
    _cause(
        "deb-time",
        "Members of a Debian package carry the time at which it was packed.",
        "export SOURCE_DATE_EPOCH before dpkg-deb or dpkg-buildpackage",
        "time",
    ),
    _cause(
        "pyc-time",
        "A compiled Python file holds the time of its source.",
        "python -m compileall --invalidation-mode unchecked-hash, or do not ship .pyc files",
        "time",
    ),
)

_ARCHIVES = (
    _cause(
        "tar-owner-names",
        "Members of a tar file carry the names of the user and group who built.",
        "tar --owner=0 --group=0 --numeric-owner",
        "user",
    ),
    _cause(
        "owner-ids",
        "Members of an archive carry the numbers of the user and group who built.",
        "tar --owner=0 --group=0 --numeric-owner; for ar the letter D; for zip -X",
        "user",
    ),
    _cause(
        "umask-modes",
        "Permissions of members follow the umask of whoever built.",
        "set `umask 022` first, or tar --mode=u+rw,go=rX, or `install -m 644`; for ar the letter D",
        "umask",
    ),
    _cause(
        "zip-attributes",
        "Permissions or attributes of members of a zip file differ.",
        "set `umask 022` and chmod files before zipping; in Python set ZipInfo.external_attr",
        "umask",
    ),
    _cause(
        "zip-extra-fields",
        "Extra fields of a zip file's members hold access times or user numbers.",
        "zip -X leaves them out",
        "user",
        "time",
    ),
    _cause(
        "compression-level",
        "The archive was compressed with another level or method.",
        "name the level: gzip -n -9, xz -6, zip -9; and the tool's version in the environment lock",
    ),
    _cause(
        "compressor-version",
        "The content is the same, the compressed bytes are not: another zlib, gzip or xz, "
        "or more threads.",
        "lock the compressor in the environment and use one thread: xz -T1, pigz -p1",
        "cpu-count",
    ),
    _cause(
        "gzip-system",
        "The gzip header names another system or holds extra fields: another tool made it.",
        "use the same tool; `gzip -n` from the locked environment writes 3",
    ),
    _cause(
        "archiver-version",
        "Headers of an archive are written in another format: another archiver or version.",
        "name the format (tar --format=ustar) and lock the archiver in the environment",
    ),
)

_ORDER = (
    _cause(
        "jar-manifest",
        "The manifest of a jar names the tools or the user, or its lines are in another order.",
        "write META-INF/MANIFEST.MF yourself, without Created-By, Build-Jdk and Built-By, "
        "and pass it by `jar --manifest`",
        "user",
        "time",
        "hash-seeds",
    ),
    _cause(
        "library-order",
        "Objects lie in a static library in another order.",
        "sort them in the recipe: ar Dcr lib.a $(sort $(wildcard *.o))",
        "file-order",
        "cpu-count",
        "locale",
    ),
    _cause(
        "link-order",
        "Objects were linked in another order.",
        "sort what the linker gets: $(sort $(wildcard *.c)), not a glob or `find`",
        "file-order",
        "locale",
        "cpu-count",
    ),
    _cause(
        "member-order",
        "Members of an archive are in another order: the file system's.",
        "tar --sort=name; for zip and jar: find . -type f | LC_ALL=C sort | zip -X@ out.zip",
        "file-order",
    ),
    _cause(
        "locale-sorted",
        "The same list is sorted by the rules of two languages.",
        "sort with LC_ALL=C",
        "locale",
    ),
    _cause(
        "directory-order",
        "File names are listed in the order in which the file system gives them.",
        "sort them: `find … | LC_ALL=C sort`, sorted(os.listdir()), $(sort $(wildcard …))",
        "file-order",
    ),
    _cause(
        "parallel-race",
        "Jobs that run at the same time write in the order in which they end.",
        "let one rule write the file once all others are done, or run it with make -j1",
        "cpu-count",
    ),
    _cause(
        "hash-order",
        "A set or dictionary is printed in the order of its hashes.",
        "sort before printing; PYTHONHASHSEED=0 and PERL_HASH_SEED=0 hide it",
        "hash-seeds",
        "addresses",
    ),
)

_PEOPLE = (
    _cause(
        "debug-path",
        "Debug information holds the folder of the build.",
        "-ffile-prefix-map=$PWD=. in CFLAGS, or strip debug information",
        "folder",
        "home",
    ),
    _cause(
        "go-build-path",
        "A Go program holds the folder of its sources or modules.",
        "go build -trimpath, from a folder inside a module",
        "folder",
        "home",
    ),
    _cause(
        "rust-path",
        "A Rust program holds the folder of its sources, crates or toolchain.",
        "RUSTFLAGS=--remap-path-prefix=$HOME=/root --remap-path-prefix=$PWD=/src, "
        "with a fixed CARGO_HOME",
        "folder",
        "home",
    ),
    _cause(
        "temp-names",
        "The random name of a temporary file is written into a file.",
        "use a fixed name below the build folder; for gcc add -frandom-seed=$@",
        "hash-seeds",
    ),
    _cause(
        "home-folder",
        "The home folder of whoever built is written into a file.",
        "set HOME to a fixed folder, and do not print it",
        "home",
        "user",
    ),
    _cause(
        "build-path",
        "The folder of the build is written into a file.",
        "-ffile-prefix-map=$PWD=. and -fmacro-prefix-map=$PWD=. in CFLAGS, or relative paths",
        "folder",
    ),
    _cause(
        "git-state",
        "The state of the git repository is written in: a commit, `git describe`, or a dirty tree.",
        "put the version into a file of the source archive; build from a clean, tagged checkout",
    ),
    _cause(
        "kernel-release",
        "The kernel of the machine that built is written into a file (uname).",
        "do not print `uname -a` or `uname -r`; configure with --host and --build",
        "engine",
        "personality",
    ),
    _cause(
        "container-engine",
        "What the container engine adds to a container is written into a file.",
        "do not list /run, mounts or processes that the build did not make itself",
        "engine",
    ),
    _cause(
        "host-name",
        "The name of the machine that built is written into a file.",
        "do not print `hostname`; for Linux kernels KBUILD_BUILD_HOST",
        "host-name",
    ),
    _cause(
        "user-name",
        "The name of the user who built is written into a file.",
        "do not print `whoami` or $USER; for Linux kernels KBUILD_BUILD_USER",
        "user",
    ),
    _cause(
        "environment-variable",
        "The value of an environment variable is written into a file.",
        "do not record the environment; print only the variables the recipe sets",
        "environment",
        is_weak=True,
    ),
    _cause(
        "locale-format",
        "Numbers, dates or messages are written as one language has it.",
        "set LC_ALL=C.UTF-8",
        "locale",
    ),
)

_MACHINE = (
    _cause(
        "cpu-count",
        "The number of processors is written into a file.",
        "pass a fixed number: make -j2, not -j$(nproc), wherever it is recorded",
        "cpu-count",
    ),
    _cause(
        "memory-size",
        "The size of the machine's memory is written into a file, or decided something.",
        "pass a fixed limit instead of asking /proc/meminfo",
        "engine",
    ),
    _cause(
        "march-native",
        "Machine code is made for the processor that built: other instruction sets.",
        "name the processor: -march=x86-64-v2 (gcc), -C target-cpu=x86-64 (rustc); never native",
    ),
    _cause(
        "pgo-profile",
        "A profile of a run guides the compiler, and no two runs are the same.",
        "ship the profile as a source, or build without -fprofile-use and --enable-optimizations",
        "time",
        "cpu-count",
    ),
    _cause(
        "lto-seed",
        "Link-time optimisation names symbols by a random number.",
        "-frandom-seed=$@ in CFLAGS of the rule",
        "folder",
        "hash-seeds",
    ),
    _cause(
        "float-digits",
        "The last digits of a computed number depend on the processor.",
        "print fewer digits, or compute with -ffp-contract=off and a fixed -march",
        "engine",
    ),
    _cause(
        "compiler-version",
        "Another compiler made it: its name and version stand in the file.",
        "lock the compiler in the environment (`relsign lock`), and build in it",
    ),
    _cause(
        "python-version",
        "Another version of Python compiled a .pyc file.",
        "lock Python in the environment, or do not ship .pyc files",
    ),
    _cause(
        "stripped",
        "One of the two is stripped of symbols or debug information.",
        "strip always or never: `strip --strip-unneeded` or `install -s` in the recipe",
    ),
)

_RANDOM = (
    _cause(
        "uuid",
        "A random identifier (UUID) is made in every build.",
        "derive it from the content: uuid5, or mkfs -U with a fixed value",
    ),
    _cause(
        "pid",
        "The number of a process is written into a file.",
        "do not print $$ or getpid(); use a fixed name for temporary files",
    ),
    _cause(
        "memory-address",
        "The address of something in memory is written into a file.",
        "do not print pointers or default object names (`<X object at 0x…>`)",
        "addresses",
    ),
    _cause(
        "build-counter",
        "The build counts how often it ran.",
        "take the counter out; for Linux kernels KBUILD_BUILD_VERSION=1",
    ),
    _cause(
        "line-ends",
        "Lines end in CR LF on one side: another git setting or operating system.",
        "`* -text` or `eol=lf` in .gitattributes; core.autocrlf=false",
    ),
    _cause(
        "pyc-references",
        "Flags in a .pyc file follow how often Python used a value elsewhere.",
        "do not ship .pyc files, or compile each in a process of its own",
        is_weak=True,
    ),
    _cause(
        "go-build-id",
        "The build id of a Go program differs.",
        "go build -trimpath -ldflags=-buildid=, with the same Go and flags",
        "folder",
        is_weak=True,
    ),
    _cause(
        "build-id",
        "Only the build id differs: the linker hashed something that was stripped later.",
        "-Wl,--build-id=none, or remove what differed before stripping (paths, compiler flags)",
        "folder",
        is_weak=True,
    ),
    _cause(
        "code-generation",
        "The compiler made other machine code of the same sources: other flags, a profile, "
        "or the processor's own features.",
        "compare the command lines (make V=1), set all flags in the recipe, "
        "and take out -march=native and profiles",
        "cpu-count",
        "personality",
        is_weak=True,
    ),
    _cause(
        "random-value",
        "A random or hashed value differs.",
        "find what makes it: a key, a salt, a token; use a fixed seed",
        "hash-seeds",
        is_weak=True,
    ),
    _cause(
        "missing-file",
        "A file is there on one side only.",
        "make the rule that writes it run always, or never; look at ./configure's findings",
        is_weak=True,
    ),
)

CAUSES = {
    cause.name: cause
    for cause in (*_INPUTS, *_TIME, *_ARCHIVES, *_ORDER, *_PEOPLE, *_MACHINE, *_RANDOM)
}
