"""Programs to outcomes: isolated processes that decide nothing about themselves."""
