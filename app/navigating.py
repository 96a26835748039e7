"""Going from screen to screen: lists are kept, things are opened on top of them, and there is a way back."""

from __future__ import annotations

from collections import deque
from typing import Any

from app.looks import Looks
from app.places import MAX_PLACES, Place, place_of
from controlplane.nouns import FIRST, Noun, noun_named, shown, shown_named
from screens.area import AreaScreen
from screens.desk import Done
from screens.nouns import list_screen, thing_screen
from screens.session import Session


class Navigating(Looks):
    """The part of the program that changes between screens."""

    session: Session

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._been: deque[Place] = deque(maxlen=MAX_PLACES)
        self._ahead: list[Place] = []
        """Where `]` leads: what was left by going back."""

    @property
    def area(self) -> AreaScreen | None:
        """The screen that a person works in, also while a dialog is over it."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, AreaScreen)), None)

    def tell(self, done: Done) -> None:
        if self.area is not None:
            self.area.say(done)

    def key_pressed(self) -> None:
        if self.area is not None:
            self.area.key_pressed()

    def draw_frame(self) -> None:
        if self.area is not None:
            self.area.draw_frame()

    def go(self, noun: str, text: str = "") -> None:
        """Show a noun's list; a filter replaces the one that it had."""
        found = shown_named(noun)
        if found is None:
            self.tell(Done(f"there is no {noun}; there are {', '.join(each.name for each in shown())}", "bad"))
            return
        here = place_of(self.screen_stack)
        if here and (here[:2] != (noun, ()) or (text and text != here.left.filter)):
            self._been.append(here)
            self._ahead.clear()
        self._show_list(found, text)

    def back(self) -> bool:
        """Close what was opened last; below that, go back to the place before this one."""
        here = place_of(self.screen_stack)
        if len(self.screen_stack) > 2:  # below the first one there is only an empty screen
            self.pop_screen()
        elif self._been:
            self._return_to(self._been.pop())
        else:
            return False
        if here is not None:
            self._ahead.append(here)
        return True

    def forward(self) -> bool:
        """The way that `back` went, the other way round."""
        if not self._ahead:
            return False
        here, place = place_of(self.screen_stack), self._ahead.pop()
        if here and place.opened and (here.noun, here.opened) == (place.noun, place.opened[:-1]):
            self._open(*place.opened[-1])
            return True
        if here is not None:
            self._been.append(here)
        self._return_to(place)
        return True

    def _return_to(self, place: Place) -> None:
        found = shown_named(place.noun)
        assert found is not None
        self._show_list(found)
        if isinstance(self.screen, AreaScreen):
            self.screen.look_like(place.left)
        for each in place.opened:
            self._open(*each)

    def _show_list(self, found: Noun, text: str = "") -> None:
        noun = found.name
        while len(self.screen_stack) > 2:
            self.pop_screen()
        welcome = noun in (FIRST, "tenants") and self.session.vacant and not text
        installed = "area-welcome" if welcome else f"area-{noun}"
        if not self.is_screen_installed(installed):
            self.install_screen(_welcome_screen() if welcome else list_screen(found, text), installed)
        elif text:
            screen = self.get_screen(installed)
            assert isinstance(screen, AreaScreen)
            screen.filter_entered(text)
        if len(self.screen_stack) == 1:
            self.push_screen(installed)
        elif self.screen is not self.get_screen(installed):
            self.switch_screen(installed)
        self.name_terminal(noun)

    def forget_screens(self) -> None:
        """Start again at the first screen: what the screens hold belongs to the context that is left."""
        left = set()
        self._been.clear()
        self._ahead.clear()
        while len(self.screen_stack) > 1:
            left.add(self.screen)
            self.pop_screen()
        for name, screen in list(self._installed_screens.items()):
            self.uninstall_screen(name)
            if screen not in left and not callable(screen) and screen.is_attached:
                screen.remove()  # those that were left remove themselves
        self.go(FIRST)

    def open_thing(self, noun: str, key: str) -> None:
        self._ahead.clear()
        self._open(noun, key)

    def _open(self, noun: str, key: str) -> None:
        found = noun_named(noun)
        screen = thing_screen(found, key) if found else None
        if screen is not None:
            self.push_screen(screen)

    def name_terminal(self, noun: str) -> None:
        word = self.session.environment_word() + (" RO" if self.session.locked else "")
        self.show_title(f"[{word}] {self.session.context} {noun}")


def _welcome_screen() -> AreaScreen:
    from screens.welcome import WelcomeScreen

    return WelcomeScreen()
