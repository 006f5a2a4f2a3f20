"""A mail server for the tests, over Debian's python3-aiosmtpd. It prints its port, and writes each e-mail that it takes
into a file of its folder.

The name of the mailbox says what happens: "later" is refused for now (451), "never" for good (550), and of "slow" the
e-mail is taken but not confirmed until the folder has a file named "release". Of "dies" the first e-mail is taken, and
the connection breaks before it is confirmed, as if the server had died.

Usage: mail_server.py FOLDER [CERTIFICATE KEY]: with a certificate, the server asks for STARTTLS and a login.
"""
import asyncio
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

FOLDER = pathlib.Path(sys.argv[1])


class Handler:
    """Takes or refuses e-mails."""

    taken = 0
    has_died = False

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "later":
            return "451 4.2.1 try again later"
        if name == "never":
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        Handler.taken += 1
        partial = FOLDER / f".{Handler.taken}"
        partial.write_bytes(envelope.content)
        partial.rename(FOLDER / f"{Handler.taken:03}.eml")
        if envelope.rcpt_tos[0].startswith("slow@"):
            while not (FOLDER / "release").exists():
                await asyncio.sleep(0.02)
        if envelope.rcpt_tos[0].startswith("dies@") and not Handler.has_died:
            Handler.has_died = True
            server.transport.abort()
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    is_right = data.login == b"hims" and data.password == b"correct horse"
    return AuthResult(success=is_right, handled=is_right)


async def main():
    options = {}
    if len(sys.argv) > 2:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        options = {"tls_context": context, "require_starttls": True,
                   "authenticator": authenticate, "auth_required": True}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Handler(), hostname="localhost", **options), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
