"""Keys and signatures for tests, made by the tools themselves.

minisign 0.11 of Debian 12 made the first: `minisign -G -W`, then `minisign -S -t 'release 2.4.0'` over ARTEFACT;
OLD_FORM is by its option `-l`. cosign made the second, `cosign sign-blob --key cosign.key TestAgent.txt`; it is
published with its key in github.com/SINTEF-9012/trudeplo (SignVerifyContainers). The third is the envelope of
sigstore-go's examples/bundle-public-key.json with its public-key.pem.
"""

from __future__ import annotations

ARTEFACT = b"the artefact\n"
MINISIGN_KEY = "RWS6uH1tPq+ardKXnbqbgH3nHhr6LHjpElVS2KwGiffbBmLYub+NECUl"
MINISIGN = b"""untrusted comment: made by minisign 0.11
RUS6uH1tPq+araW34ArPT5g0f2eFCLlWnr2SVstUkb0pDYAkBBjnobufL/gKCCry4om7dMA637W/uRRgBeb9yL8FAQ18ZOuJogM=
trusted comment: release 2.4.0
uwp8JSfqYC9hPuS/A1tu2hxHc2KsBx7BjHugguAvySC7euhzpLAFq7D1zvqrba6NYnbxSTiOmIFcaFfdEkkOAw==
"""
OLD_FORM = b"""untrusted comment: signature from minisign secret key
RWS6uH1tPq+arcrHbEq3Wygco3pLhudTuFNhc0ZnPVURQds+oPp/WUnh9fQwcDXTmfXmFCYXDAYT7aS2Bhl6m9jyne+SLSBKkgc=
trusted comment: release 2.4.0
GmEWp27aKCHrEMRrgFf5WMtKWBUc3JNGfVk3RnJIaQ+UbyvaAMQx4ZfkWEymVkjNMndgK5OCWjaRvXY6VzcOAA==
"""

COSIGNED = b"Hello blob world!!  \r\n"
COSIGN_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJbqTBDqVjbmA1G+10AWjofwCavS8
pkvvMTHHmWgQZ8jCzZBJJBpWzGuzbjOLXIZdOmVhHf9EGY8hl7Mj93d49g==
-----END PUBLIC KEY-----
"""

DSSE_PAYLOAD = b"hello, world!"
DSSE_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEGg6Hjxt2UNiJ1kwwq5XQIIwMZnJf
VQ3bF01uZKteMdcV/3qhCmWOecoxRqwrbYTshGg9NyXcBbve6zKwZVTLeg==
-----END PUBLIC KEY-----
"""
DSSE = {
    "payload": "aGVsbG8sIHdvcmxkIQ==",
    "payloadType": "text/plain",
    "signatures": [
        {
            "sig": "MEUCICUhAVewfwKlk5fVzpRDUPhEw9O8I2pxC5nTnPfYDBsOAiEA0ZFqs99QgR9mAtFMWtWrOjmUC47zgaoolKIoLH/OwdM=",
            "keyid": "",
        }
    ],
}
COSIGN = b"MEUCIQCCjwVXXBDnQJJedrOc4CMrurW46AAdU4EbQZdMfzAyzgIge5xawWIII0qQjFRuuaf4/gxyuQFsj0EbV35TeLYTLRc="
