from tests.screens import pausing as pausing
