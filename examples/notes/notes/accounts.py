"""Who is asking: registering, logging in and out."""

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Cookie, Depends, HTTPException, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from notes import database, security
from notes.models import User

router = APIRouter(prefix="/api")
Database = Annotated[Session, Depends(database.session)]


class Login(BaseModel):
    name: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=8, max_length=256)


def user(session: Database, notes_session: Annotated[str, Cookie()] = "") -> User:
    """Return the user of a request, or answer 401."""
    found = security.read_session(notes_session) if notes_session else None
    known = session.get(User, found) if found else None
    if known is None:
        raise HTTPException(401, "please log in")
    return known


Known = Annotated[User, Depends(user)]


@router.post("/register", status_code=201)
def register(login: Login, session: Database, request: Request, response: Response) -> dict[str, str]:
    known = User(name=login.name, password=security.hash_password(login.password))
    session.add(known)
    try:
        session.commit()
    except sa.exc.IntegrityError:
        raise HTTPException(409, "this name is taken") from None
    _welcome(known, request, response)
    return {"name": known.name}


@router.post("/login")
def log_in(login: Login, session: Database, request: Request, response: Response) -> dict[str, str]:
    known = session.scalar(sa.select(User).where(User.name == login.name))
    # The same work for a name that nobody has: the time of an answer should not tell.
    stored = known.password if known else security.hash_password("nobody")
    if not security.check_password(login.password, stored) or known is None:
        raise HTTPException(401, "name or password is wrong")
    _welcome(known, request, response)
    return {"name": known.name}


@router.post("/logout")
def log_out(response: Response) -> dict[str, str]:
    response.delete_cookie(security.COOKIE)
    return {"status": "bye"}


@router.get("/me")
def me(known: Known) -> dict[str, str]:
    return {"name": known.name}


def _welcome(known: User, request: Request, response: Response) -> None:
    response.set_cookie(
        security.COOKIE,
        security.make_session(known.id),
        max_age=security.LIFETIME_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
