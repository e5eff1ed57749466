"""PyPI's PyJWT as an issuer, on keys of PyPI's cryptography. See web.py."""

import json

import jwt
import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


def new_key(algorithm, kid):
    if algorithm in CURVES:
        pair = ec.generate_private_key(CURVES[algorithm]())
    elif algorithm == "EdDSA":
        pair = ed25519.Ed25519PrivateKey.generate()
    else:
        pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return algorithm, kid, pair


def public(key):
    algorithm, kid, pair = key
    jwk = get_default_algorithms()[algorithm].to_jwk(pair.public_key())
    # PyJWT writes neither name nor algorithm nor use.
    return {**json.loads(jwk), "kid": kid, "alg": algorithm, "use": "sig"}


def sign(key, algorithm, kid, claims):
    return jwt.encode(claims, key[2], algorithm=algorithm, headers={"kid": kid})


web.run(new_key, public, sign)
