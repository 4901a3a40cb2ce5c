"""Android phones and boards through adb: no root, no app, nothing installed."""
