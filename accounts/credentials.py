"""What names, addresses and passwords may be, and the one form in which they are kept."""

from __future__ import annotations

import re
import unicodedata

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from accounts.models import User
from dtq_site.foundation.errors import BadInput

LONGEST_PASSWORD = 1024
_USERNAME = re.compile(r"[a-z0-9][a-z0-9._+-]*")


def folded(text: str) -> str:
    """`text` without blanks around it, the same for all spellings that people take for one: any case, any Unicode form."""
    lower = unicodedata.normalize("NFKC", text.strip()).lower()
    return unicodedata.normalize("NFKC", lower)


def plain_text(text: str, field: str, *, longest: int) -> str:
    """`text` without blanks around it; raises BadInput if it is too long or has characters that no text has."""
    text = text.strip()
    if len(text) > longest:
        raise BadInput(f"It has {len(text)} characters; at most {longest} are allowed.", field=field)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise BadInput("It has control characters or half a surrogate pair; remove them.", field=field)
    return text


def normal_username(text: str) -> str:
    """The user name as it is kept; raises BadInput."""
    username = folded(plain_text(text, "username", longest=150))
    if not _USERNAME.fullmatch(username):
        message = "A user name has letters of ASCII, digits, '.', '_', '+' and '-', and begins with a letter or digit."
        raise BadInput(message, field="username")
    return username


def normal_email(text: str) -> str:
    """The e-mail address as it is kept; raises BadInput."""
    email = folded(plain_text(text, "email", longest=254))
    try:
        validate_email(email)
        is_email = email.isprintable()  # a domain may have letters of any script, but none that nobody sees
    except ValidationError:
        is_email = False
    if not is_email:
        raise BadInput("This is no e-mail address; write one such as ann@example.com.", field="email")
    return plain_text(email, "email", longest=254)


def check_new_password(password: str, user: User, *, field: str) -> None:
    """Raise BadInput on `field`, saying all that is wrong with the password for this user."""
    check_password_text(password, field=field)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise BadInput(" ".join(error.messages), field=field) from None


def check_password_text(password: str, *, field: str) -> None:
    """Raise BadInput on `field` if the text is too long to be worth hashing, or cannot be hashed at all."""
    if len(password) > LONGEST_PASSWORD:
        raise BadInput(f"A password has at most {LONGEST_PASSWORD} characters.", field=field)
    if not is_encodable(password):
        raise BadInput("It has half a surrogate pair, which is no character; remove it.", field=field)


def is_encodable(text: str) -> bool:
    """Whether `text` can be written as UTF-8; JSON can spell half of a surrogate pair, which cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
