"""A mail over SMTP, always encrypted: from the first byte (`tls`) or from STARTTLS on, with the server's certificate checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.errors import DeliveryError

_SECONDS = 10.0
_GONE = ("the mail server cannot be reached.", "Check host and port.")


def send_mail(server: Mapping[str, Any], password: str, subject: str, text: str) -> None:
    """Send it. `server` is `alerts.email` of the settings as plain values. Raises DeliveryError; it names no address and no answer."""
    import smtplib
    import ssl

    context = ssl.create_default_context()
    try:
        if server["security"] == "tls":
            session: smtplib.SMTP = smtplib.SMTP_SSL(server["host"], server["port"], timeout=_SECONDS, context=context)
        else:
            session = smtplib.SMTP(server["host"], server["port"], timeout=_SECONDS)
        with session:
            if server["security"] == "starttls":
                session.starttls(context=context)
            if server["user"]:
                session.login(server["user"], password)
            session.send_message(_message(server, subject, text))
    except ssl.SSLError:
        raise DeliveryError("the mail server's certificate or encryption is not accepted.", "Check host and security.") from None
    except smtplib.SMTPAuthenticationError:
        raise DeliveryError("the mail server refuses the credentials.", "Check user and ALERT_EMAIL_PASSWORD.") from None
    except smtplib.SMTPNotSupportedError:
        raise DeliveryError("the mail server offers no encryption or no sign-in.", "Check port and security.") from None
    except (smtplib.SMTPServerDisconnected, smtplib.SMTPConnectError):
        raise DeliveryError(*_GONE) from None
    except smtplib.SMTPException:
        raise DeliveryError("the mail server refused the mail.", "Check sender and to; its own log tells why.") from None
    except (OSError, UnicodeError):
        raise DeliveryError(*_GONE) from None


def _message(server: Mapping[str, Any], subject: str, text: str) -> Any:
    from email.message import EmailMessage
    from email.utils import format_datetime, localtime, make_msgid

    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = server["sender"]
    message["To"] = ", ".join(server["to"])
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = make_msgid(domain=str(server["sender"]).rpartition("@")[2])  # else the name of this machine
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text, cte="quoted-printable")  # understood by every server
    return message
