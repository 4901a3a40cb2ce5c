"""Who may connect: adb's keys, as the phone's "Allow USB debugging?" knows them."""

from __future__ import annotations

import base64
import secrets
import struct

__all__ = ["RSA_PUBLIC_KEY", "SIGNATURE", "TOKEN", "Auth"]

# The first argument of an AUTH packet.
TOKEN, SIGNATURE, RSA_PUBLIC_KEY = 1, 2, 3

_TOKEN_BYTES = 20
_MODULUS_BYTES = 256
# What PKCS #1 (RFC 8017, section 9.2) puts before a SHA-1 of 20 bytes; the token is taken for one.
_SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")


class Auth:
    """The keys that a phone knows.

    Parameters
    ----------
    user_accepts
        Whether the phone's user allows a key that the phone sees for the first time.
    """

    def __init__(self, *, user_accepts: bool) -> None:
        self.user_accepts = user_accepts
        self._token = b""
        self._keys: set[tuple[int, int]] = set()

    def token(self) -> bytes:
        """Return new random bytes for the client to sign."""
        self._token = secrets.token_bytes(_TOKEN_BYTES)
        return self._token

    def is_signed(self, signature: bytes) -> bool:
        """Return whether `signature` is the token's by a key that the user accepted."""
        padding = b"\xff" * (_MODULUS_BYTES - 3 - len(_SHA1_INFO) - _TOKEN_BYTES)
        meant = int.from_bytes(b"\0\1" + padding + b"\0" + _SHA1_INFO + self._token, "big")
        number = int.from_bytes(signature, "big")
        return any(pow(number, exponent, modulus) == meant for modulus, exponent in self._keys)

    def accept(self, key: bytes) -> bool:
        """Ask the user whether a public key, as ``adbkey.pub`` holds it, may connect."""
        if not self.user_accepts:
            return False
        # Number of words, -1/n[0] mod 2^32, modulus and r^2 as little-endian words, exponent.
        data = base64.b64decode(key.split(b" ")[0].rstrip(b"\0"))
        modulus = int.from_bytes(data[8 : 8 + _MODULUS_BYTES], "little")
        (exponent,) = struct.unpack("<I", data[-4:])
        self._keys.add((modulus, exponent))
        return True
