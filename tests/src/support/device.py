"""A device with passkeys: python3 -c THIS, with what is asked of it on the standard input. It prints its keys afterwards,
and what a browser would hand to the page. What it writes is put together by Yubico's python-fido2."""

import json
import os
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.client import ClientData
from fido2.cose import ES256
from fido2.ctap2 import AttestationObject, AttestedCredentialData, AuthenticatorData
from fido2.utils import sha256, websafe_encode

PRESENT, VERIFIED, ATTESTED = (getattr(AuthenticatorData.FLAG, it) for it in
                               ("USER_PRESENT", "USER_VERIFIED", "ATTESTED"))


def make(options, keys, flags):
    assert any(it["alg"] == ES256.ALGORITHM for it in options["pubKeyCredParams"])
    assert not any(it["id"] in keys for it in options.get("excludeCredentials") or [])
    secret, number = ec.generate_private_key(ec.SECP256R1()), os.urandom(32)
    key = ES256.from_cryptography_key(secret.public_key())
    attested = AttestedCredentialData.create(bytes(16), number, key)
    data = AuthenticatorData.create(sha256(options["rp"]["id"].encode()), flags | ATTESTED, 0, attested)
    pem = secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                               serialization.NoEncryption())
    keys[websafe_encode(number)] = {"secret": pem.decode(), "count": 0, "user": options["user"]["id"]}
    attestation = AttestationObject.create("none", data, {}).with_string_keys()
    return websafe_encode(number), {"attestationObject": websafe_encode(attestation), "transports": ["internal"]}


def sign(options, keys, flags, signed):
    name = next(it["id"] for it in options["allowCredentials"] if it["id"] in keys)
    key = keys[name]
    key["count"] += 1
    data = AuthenticatorData.create(sha256(options["rpId"].encode()), flags, key["count"])
    secret = serialization.load_pem_private_key(key["secret"].encode(), None)
    signature = secret.sign(data + signed, ec.ECDSA(hashes.SHA256()))
    return name, {"authenticatorData": websafe_encode(data), "signature": websafe_encode(signature),
                  "userHandle": key["user"]}


asked = json.load(sys.stdin)
options, keys, makes = asked["options"], asked["keys"], "user" in asked["options"]
flags = PRESENT | (VERIFIED if asked["asks_its_user"] else 0)
client = ClientData.build(type="webauthn.create" if makes else "webauthn.get", challenge=options["challenge"],
                          origin=asked["origin"], crossOrigin=False)
name, response = make(options, keys, flags) if makes else sign(options, keys, flags, client.hash)
credential = {"id": name, "rawId": name, "type": "public-key", "response": {**response, "clientDataJSON": client.b64},
              "authenticatorAttachment": "platform", "clientExtensionResults": {}}
print(json.dumps({"keys": keys, "credential": credential}))
