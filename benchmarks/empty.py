"""The empty Textual program that a start is compared with: one screen with nothing on it."""

from textual.app import App

App[None]().run()
