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
        if (place := place_of(self.screen_stack)) and place != (noun, ()):
            self._been.append(place)
        self._show_list(found, text)

    def back(self) -> bool:
        """Go back to the list that was shown before this one."""
        if not self._been:
            return False
        noun, opened = self._been.pop()
        found = shown_named(noun)
        assert found is not None
        self._show_list(found)
        for each in opened:
            self.open_thing(*each)
        return True

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
        while len(self.screen_stack) > 1:
            left.add(self.screen)
            self.pop_screen()
        for name, screen in list(self._installed_screens.items()):
            self.uninstall_screen(name)
            if screen not in left and not callable(screen) and screen.is_attached:
                screen.remove()  # those that were left remove themselves
        self.go(FIRST)

    def open_thing(self, noun: str, key: str) -> None:
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
