"""Seeds of nonces: the same until they are burned, then once, and never again."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from relsign.errors import HostError, InputError
from relsign.sign.groups.nonces import BurnedSeeds, NonceStore, Seeds
from tests.sign.faults import intercepted, name_of

SESSION = "5e" * 32
REQUEST = "aa" * 32
OTHER = "bb" * 32
STEPS = {2: ("openpgp", "minisign"), 3: ("minisign-global",)}


@pytest.fixture
def store(tmp_path: Path) -> NonceStore:
    return NonceStore(tmp_path / "home" / "nonces")


def files(store: NonceStore) -> set[str]:
    kept = {".lock", "CACHEDIR.TAG"}
    return {path.name.removeprefix(f"{SESSION}.") for path in store.folder.iterdir()} - kept


def pairs(seeds: dict[str, Seeds] | dict[str, BurnedSeeds]) -> dict[str, tuple[bytes, bytes]]:
    return {name: (seed.hiding, seed.binding) for name, seed in seeds.items()}


# --- make and burn -----------------------------------------------------------------------------


def test_what_was_made_is_what_is_burned(store: NonceStore) -> None:
    made = store.make(SESSION, 1, STEPS)
    assert {step: tuple(seeds) for step, seeds in made.items()} == STEPS
    drawn = [seed for seeds in made.values() for pair in pairs(seeds).values() for seed in pair]
    assert [len(seed) for seed in drawn] == [32] * 6
    assert len(set(drawn)) == 6
    assert files(store) == {"1.2.seeds", "1.3.seeds"}
    for step in STEPS:
        burned = store.burn(SESSION, 1, step, REQUEST)
        assert pairs(burned) == pairs(made[step])
        assert {type(seeds) for seeds in burned.values()} == {BurnedSeeds}
    assert files(store) == {"1.2.burned", "1.3.burned"}


def test_the_steps_are_burned_apart(store: NonceStore) -> None:
    made = store.make(SESSION, 1, STEPS)
    store.burn(SESSION, 1, 2, REQUEST)
    assert files(store) == {"1.2.burned", "1.3.seeds"}
    assert (store.burned(SESSION, 1, 2), store.burned(SESSION, 1, 3)) == (REQUEST, None)
    assert pairs(store.burn(SESSION, 1, 3, OTHER)) == pairs(made[3])
    assert store.burned(SESSION, 1, 3) == OTHER


def test_making_again_gives_the_same(store: NonceStore) -> None:
    made = store.make(SESSION, 1, STEPS)
    assert store.make(SESSION, 1, STEPS) == made
    assert NonceStore(store.folder).make(SESSION, 1, STEPS) == made


def test_what_a_crash_left_unwritten_is_made(store: NonceStore) -> None:
    made = store.make(SESSION, 1, STEPS)
    (store.folder / f"{SESSION}.1.3.seeds").unlink()
    again = store.make(SESSION, 1, STEPS)
    assert again[2] == made[2]
    assert again[3] != made[3]


def test_sessions_and_attempts_are_apart(store: NonceStore) -> None:
    made = [store.make(*place, STEPS) for place in ((SESSION, 1), (SESSION, 11), ("00" * 32, 1))]
    seeds = {pair for steps in made for slots in steps.values() for pair in pairs(slots).values()}
    assert len(seeds) == 9
    assert store.pending() == (("00" * 32, 1), (SESSION, 1), (SESSION, 11))
    store.burn(SESSION, 1, 2, REQUEST)
    store.abandon(SESSION, 1)
    assert store.make(SESSION, 11, STEPS) == made[1]
    assert store.pending() == (("00" * 32, 1), (SESSION, 11))


@pytest.mark.parametrize("request_sha256", [REQUEST, OTHER])
def test_a_second_burn_is_refused(store: NonceStore, request_sha256: str) -> None:
    store.make(SESSION, 1, STEPS)
    store.burn(SESSION, 1, 2, REQUEST)
    with pytest.raises(InputError, match=f"at most once .got burned for the request {REQUEST}"):
        store.burn(SESSION, 1, 2, request_sha256)
    with pytest.raises(InputError, match="at most once") as caught:
        store.make(SESSION, 1, STEPS)
    assert "start a new attempt" in caught.value.hint
    assert store.make(SESSION, 2, STEPS)


def test_a_step_without_seeds_burns_nothing(store: NonceStore) -> None:
    with pytest.raises(InputError, match="no nonces were made"):
        store.burn(SESSION, 1, 2, REQUEST)
    assert files(store) == set()
    made = store.make(SESSION, 1, STEPS)
    with pytest.raises(InputError, match="no nonces were made"):
        store.burn(SESSION, 1, 4, REQUEST)
    assert pairs(store.burn(SESSION, 1, 2, REQUEST)) == pairs(made[2])


def test_a_quicker_process_gets_the_seeds_alone(store: NonceStore) -> None:
    store.make(SESSION, 1, STEPS)
    marker = store.folder / f"{SESSION}.1.2.burned"
    before: list[Path] = []

    def overtake(name: str, arguments: tuple[object, ...]) -> None:
        # As if no lock held it back: the marker is made between our look and our try.
        if name == "open" and arguments[0] == marker and not before:
            before.append(marker)
            marker.write_bytes(b"")

    with pytest.raises(InputError, match="another command was quicker"), intercepted(overtake):
        store.burn(SESSION, 1, 2, REQUEST)
    assert before
    assert store.burned(SESSION, 1, 2) == ""
    with pytest.raises(InputError, match="burned for a request"):
        store.burn(SESSION, 1, 2, REQUEST)
    assert files(store) == {"1.2.burned", "1.3.seeds"}


# --- the order that survives a power cut ---------------------------------------------------------


def traced(store: NonceStore, act: Callable[[], object]) -> list[str]:
    """Return what was opened, written through, renamed and unlinked, in order."""
    seen: list[str] = []
    short = {store.folder.name: "folder"}

    def see(name: str, arguments: tuple[object, ...]) -> None:
        if name in {"open", "fsync", "write", "unlink", "replace"}:
            place = name_of(arguments[0]).removeprefix(f"{SESSION}.")
            seen.append(f"{name} {short.get(place, place)}")

    with intercepted(see):
        act()
    wanted = ("seeds", "burned", "abandoned", "tmp", "folder")
    return [line for line in seen if line.endswith(wanted) and line != "open folder"]


def test_seeds_are_on_disk_before_they_are_returned(store: NonceStore) -> None:
    store.make(SESSION, 9, STEPS)
    lines = traced(store, lambda: store.make(SESSION, 1, {2: ("a",)}))
    kinds = [line.split()[0] + " " + line.rsplit(".", 1)[-1].split()[-1] for line in lines]
    assert kinds == [
        "open seeds",  # there are none yet
        "open tmp",
        "fsync tmp",
        "replace tmp",
        "fsync folder",
        "fsync folder",
    ]


def test_seeds_made_before_a_crash_are_synced_again(store: NonceStore) -> None:
    store.make(SESSION, 1, {2: ("a",)})
    lines = traced(store, lambda: store.make(SESSION, 1, {2: ("a",)}))
    assert lines == ["open 1.2.seeds", "fsync folder"]


def test_the_order_of_a_burn_is_the_one_that_was_proven(store: NonceStore) -> None:
    store.make(SESSION, 1, STEPS)
    assert traced(store, lambda: store.burn(SESSION, 1, 2, REQUEST)) == [
        "open 1.2.burned",  # (1)
        "fsync 1.2.burned",
        "fsync folder",  # (2)
        "open 1.2.seeds",  # (3)
        "open 1.2.seeds",  # (4)
        "write 1.2.seeds",
        "fsync 1.2.seeds",
        "unlink 1.2.seeds",
        "fsync folder",  # (5)
    ]


def test_the_marker_is_made_exclusively(store: NonceStore) -> None:
    store.make(SESSION, 1, STEPS)
    flags = []

    def see(name: str, arguments: tuple[object, ...]) -> None:
        if name == "open" and name_of(arguments[0]).endswith(".burned"):
            flags.append(arguments[1])

    with intercepted(see):
        store.burn(SESSION, 1, 2, REQUEST)
    assert [isinstance(flag, int) and flag & os.O_EXCL for flag in flags] == [os.O_EXCL]


def test_burned_seeds_are_overwritten(store: NonceStore, tmp_path: Path) -> None:
    store.make(SESSION, 1, STEPS)
    old = tmp_path / "another name of the same file"
    old.hardlink_to(store.folder / f"{SESSION}.1.2.seeds")
    size = old.stat().st_size
    store.burn(SESSION, 1, 2, REQUEST)
    assert old.read_bytes() == bytes(size)


# --- giving up ---------------------------------------------------------------------------------


def test_an_abandoned_attempt_never_comes_back(store: NonceStore) -> None:
    store.make(SESSION, 1, STEPS)
    store.burn(SESSION, 1, 2, REQUEST)
    store.abandon(SESSION, 1)
    store.abandon(SESSION, 1)
    assert files(store) == {"1.2.burned", "1.abandoned"}
    for act in (
        lambda: store.make(SESSION, 1, STEPS),
        lambda: store.burn(SESSION, 1, 3, REQUEST),
    ):
        with pytest.raises(InputError, match="this attempt was abandoned") as caught:
            act()
        assert "start a new attempt" in caught.value.hint


def test_an_attempt_can_be_abandoned_before_it_began(store: NonceStore) -> None:
    store.abandon(SESSION, 1)
    with pytest.raises(InputError, match="abandoned"):
        store.make(SESSION, 1, STEPS)


def test_seeds_a_crash_left_beside_their_marker_are_erased(store: NonceStore) -> None:
    for attempt, marker in ((1, "1.2.burned"), (2, "2.abandoned")):
        store.make(SESSION, attempt, STEPS)
        (store.folder / f"{SESSION}.{marker}").touch(0o600)
        with pytest.raises(InputError, match="at most once"):
            store.make(SESSION, attempt, STEPS)
    assert files(store) == {"1.2.burned", "1.3.seeds", "2.abandoned"}


# --- what is asked for -------------------------------------------------------------------------

BAD_PLACES: dict[str, tuple[str, int, int]] = {
    "short session": ("5e" * 31, 1, 2),
    "upper-case session": ("5E" * 32, 1, 2),
    "session with a path": ("../" + "5e" * 32, 1, 2),
    "session with a line end": ("5e" * 32 + "\n", 1, 2),
    "attempt 0": (SESSION, 0, 2),
    "attempt below 0": (SESSION, -1, 2),
    "attempt too high": (SESSION, 1_000_001, 2),
    "attempt as truth": (SESSION, True, 2),
    "step 0": (SESSION, 1, 0),
    "step 10": (SESSION, 1, 10),
}


@pytest.mark.parametrize("name", BAD_PLACES)
def test_a_malformed_place_is_refused_before_the_disk_is_touched(
    store: NonceStore, name: str
) -> None:
    session, attempt, step = BAD_PLACES[name]
    with pytest.raises(InputError):
        store.make(session, attempt, {step: ("a",)})
    with pytest.raises(InputError):
        store.burn(session, attempt, step, REQUEST)
    with pytest.raises(InputError):
        store.burned(session, attempt, step)
    if (session, attempt) != (SESSION, 1):
        with pytest.raises(InputError):
            store.abandon(session, attempt)
    assert not store.folder.exists()


@pytest.mark.parametrize("digest", ["", "aa", "AA" * 32, "aa" * 32 + "\n"])
def test_a_request_is_a_digest(store: NonceStore, digest: str) -> None:
    made = store.make(SESSION, 1, STEPS)
    with pytest.raises(InputError, match="digest of a request"):
        store.burn(SESSION, 1, 2, digest)
    assert pairs(store.burn(SESSION, 1, 2, REQUEST)) == pairs(made[2])


@pytest.mark.parametrize(
    "steps",
    [{}, {2: ()}, {2: ("a", "a")}, {2: ("",)}, {2: ("a/b",)}, {2: [f"s{n}" for n in range(65)]}],
)
def test_slots_are_names(store: NonceStore, steps: dict[int, tuple[str, ...]]) -> None:
    with pytest.raises(InputError):
        store.make(SESSION, 1, steps)
    assert not store.folder.exists()


@pytest.mark.parametrize(
    "steps",
    [
        {2: ("openpgp",), 3: ("minisign-global",)},
        {2: ("minisign", "openpgp"), 3: ("minisign-global",)},
        {2: ("openpgp", "minisign")},
    ],
)
def test_an_attempt_keeps_its_slots(store: NonceStore, steps: dict[int, tuple[str, ...]]) -> None:
    made = store.make(SESSION, 1, STEPS)
    with pytest.raises(InputError, match="nonces for other messages") as caught:
        store.make(SESSION, 1, steps)
    assert "start a new attempt" in caught.value.hint
    assert pairs(store.burn(SESSION, 1, 2, REQUEST)) == pairs(made[2])


def counted() -> Callable[[int], bytes]:
    """Return randomness that is none, but never the same."""
    numbers = count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


def test_the_randomness_is_the_caller_s(store: NonceStore) -> None:
    made = store.make(SESSION, 1, STEPS, counted())
    assert made[3]["minisign-global"].binding == (6).to_bytes(32, "big")
    assert store.make(SESSION, 1, STEPS, secrets.token_bytes) == made


@pytest.mark.parametrize("drawn", [lambda _: bytes(32), lambda _: os.urandom(31)])
def test_randomness_that_repeats_itself_is_refused(
    store: NonceStore, drawn: Callable[[int], bytes]
) -> None:
    with pytest.raises(HostError, match="repeat themselves"):
        store.make(SESSION, 1, STEPS, drawn)
