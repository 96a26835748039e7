import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from app.keymaps import MAPS, Known, changed, resolve
from controlplane.errors import Usage

KNOWN: Known = {
    "app.cancel": ("app", ("ctrl+c",)),
    "area.back": ("app", ("escape",)),
    "app.palette": ("app", ("ctrl+p",)),
    "table.open": ("table", ("enter",)),
    "table.filter": ("table", ("/",)),
    "table.page_down": ("table", ("pagedown",)),
    "table.page_up": ("table", ("pageup",)),
    "table.left": ("table", ("left",)),
    "table.right": ("table", ("right",)),
    "table.mark_down": ("table", ("shift+down",)),
    "table.mark_up": ("table", ("shift+up",)),
}


def code(keymap: str, own: dict[str, tuple[str, ...]], known: Known = KNOWN) -> tuple[str, str]:
    with pytest.raises(Usage) as caught:
        resolve(keymap, own, known)
    return caught.value.code, str(caught.value)


def test_the_default_map_changes_nothing() -> None:
    keys = resolve("default", {}, KNOWN)
    assert keys["table.filter"] == ("slash",)
    assert changed(keys, KNOWN) == {}


@pytest.mark.parametrize("name", MAPS)
def test_built_in_maps_are_free_of_conflicts_and_keep_the_usual_key(name: str) -> None:
    keys = resolve(name, {}, KNOWN)
    for id, (_, default) in KNOWN.items():
        assert set(default) - {"/"} <= set(keys[id])
    assert set(MAPS[name]) <= set(KNOWN)
    assert set(changed(keys, KNOWN)) == set(MAPS[name])


def test_own_keys_come_over_the_map() -> None:
    keys = resolve("vim", {"table.page_down": ("J",), "table.filter": ("f", "f")}, KNOWN)
    assert keys["table.page_down"] == ("J",)
    assert keys["table.filter"] == ("f",)
    assert keys["table.page_up"] == ("pageup", "ctrl+b", "ctrl+u")
    assert changed(keys, KNOWN)["table.filter"] == "f"


def test_an_id_of_a_map_that_no_screen_has_is_left_out() -> None:
    assert resolve("vim", {}, {"area.back": ("area", ("escape",))}) == {"area.back": ("escape",)}


def test_one_key_for_two_bindings_of_a_scope_names_both() -> None:
    found, words = code("default", {"table.open": ("enter", "/")})
    assert found == "keymap_conflict"
    assert "'table.open'" in words and "'table.filter'" in words and "'slash'" in words
    assert code("vim", {"table.open": ("l",)})[0] == "keymap_conflict"
    assert resolve("default", {"table.open": ("escape",)}, KNOWN)  # another scope: the table comes before the app


@pytest.mark.parametrize("key", ["ctrl+a", "ctrl+m", "ctrl+1", "ctrl+enter", "alt+x", "f11", "super+x", "ctrl+shift+x"])
def test_a_key_that_not_every_terminal_sends_is_not_the_only_way(key: str) -> None:
    found, words = code("default", {"table.open": (key,)})
    assert found == "keymap_unsendable" and key in words
    assert resolve("default", {"table.open": (key, "o")}, KNOWN)["table.open"] == (key, "o")


def test_a_second_key_that_cannot_be_sent_helps_nobody() -> None:
    assert code("default", {"table.open": ("ctrl+a", "alt+x")})[0] == "keymap_unsendable"
    assert resolve("default", {"app.cancel": ("ctrl+c",)}, KNOWN)["app.cancel"] == ("ctrl+c",)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"table.opne": ("o",)}, "did you mean 'table.open'"),
        ({"table.open": ("crtl+x",)}, "no key 'crtl+x'"),
        ({"table.open": ("pgdown",)}, "did you mean 'pagedown'"),
        ({"table.open": ("",)}, "no key ''"),
    ],
)
def test_what_does_not_exist_is_refused(own: dict[str, tuple[str, ...]], words: str) -> None:
    found, message = code("default", own)
    assert found == "keymap_unknown" and words in message


def test_an_unknown_map_is_refused() -> None:
    assert code("emacs", {})[0] == "keymap_unknown"


async def test_textual_obeys_even_when_two_bindings_swap_their_keys() -> None:
    known: Known = {"x.a": ("x", ("a", "/")), "x.b": ("x", ("b",)), "x.c": ("x", ("c",))}
    heard: list[str] = []

    class Listening(App[None]):
        BINDINGS = [Binding(",".join(keys), f"hear('{id}')", id=id) for id, (_, keys) in known.items()]

        def compose(self) -> ComposeResult:
            yield Static()

        def action_hear(self, id: str) -> None:
            heard.append(id)

    app = Listening()
    async with app.run_test() as pilot:
        app.set_keymap(changed(resolve("default", {"x.a": ("b", "?"), "x.b": ("a",)}, known), known))
        await pilot.press("b", "question_mark", "a", "c", "slash")
    assert heard == ["x.a", "x.a", "x.b", "x.c"]
