"""The web process: pages, JSON for them, and what an operator asks."""

from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.requests import Request
from starlette.types import ASGIApp

from notes import accounts, database, log, media, pages, settings
from notes.requests import Requests

STATIC = settings.HERE / "static"

log.setup()
settings.session_key()  # a missing key should end the start, not the first login

api = FastAPI(title="Notes", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
api.include_router(accounts.router)
api.include_router(pages.router)
api.include_router(media.router)
api.mount("/static", StaticFiles(directory=STATIC), name="static")


@api.exception_handler(Exception)
async def unexpected(_: Request, __: Exception) -> JSONResponse:
    log.error("unexpected error", exception=True)
    return JSONResponse({"detail": "something went wrong; the log says more"}, 500)


@api.get("/", include_in_schema=False)
async def index() -> FileResponse:
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


@api.get("/health")
async def health() -> dict[str, str]:
    """Say that the process answers, whatever the database does."""
    return {"status": "ok"}


@api.get("/health/ready")
def ready() -> JSONResponse:
    """Say whether requests can be served: the database answers, and its schema is not older than this release."""
    problem = database.ready()
    if problem:
        log.error("not ready", reason=problem)
        return JSONResponse({"status": "not ready", "reason": problem}, 503)
    return JSONResponse({"status": "ready"})


@api.get("/version")
async def version() -> dict[str, Any]:
    return {"release": settings.release(), "commit": settings.commit(), "title": settings.title()}


app: ASGIApp = Requests(api)
