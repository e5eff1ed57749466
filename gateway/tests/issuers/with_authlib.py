"""PyPI's Authlib as an issuer. See web.py."""

import warnings

import web
from authlib.deprecate import AuthlibDeprecationWarning

# authlib.jose says that it will be another package one day.
warnings.simplefilter("ignore", AuthlibDeprecationWarning)

from authlib.jose import JsonWebKey, JsonWebToken  # noqa: E402

KINDS = {"ES256": ("EC", "P-256"), "ES384": ("EC", "P-384"), "ES512": ("EC", "P-521"), "EdDSA": ("OKP", "Ed25519")}


def new_key(algorithm, kid):
    kind, size = KINDS.get(algorithm, ("RSA", 2048))
    return JsonWebKey.generate_key(kind, size, {"kid": kid}, is_private=True)


def public(key):
    return key.as_dict(is_private=False)


def sign(key, algorithm, kid, claims):
    return JsonWebToken([algorithm]).encode({"alg": algorithm, "kid": kid}, claims, key).decode()


web.run(new_key, public, sign)
