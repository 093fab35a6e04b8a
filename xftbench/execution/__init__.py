"""Programs to outcomes: every program is untrusted, and runs in a jail that is thrown away after it.

`pool` is the door. What runs *inside* the jail stands in `inside` and imports only the standard library;
this file stays empty because the jailed interpreters import it too.
"""
