"""The API that `API_HOST` names, in the manner of jsonplaceholder: people, their posts with comments, their tasks. `API_KEY` is optional.

No list says when a record changed, so all is looked at in every run; a page that came before is not kept again.
https://jsonplaceholder.typicode.com
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestion.rest import Header, PageNumber, Parent, RestSource, Single, Stream

_PAGES = PageNumber("_page", size_param="_limit", size=100)


class DemoApi(RestSource):
    """Streams users, posts, comments (of each post) and todos."""

    name = "demo_api"
    title = "Demo API"
    base_url = "https://jsonplaceholder.typicode.com"
    auth = Header("X-API-Key", "API_KEY")
    rate = "20/s"
    streams = (
        Stream("users", id="id", pages=_PAGES),
        Stream("posts", id="id", pages=_PAGES),
        Stream("comments", "posts/{post_id}/comments", id="id", pages=Single(), parent=Parent("posts", param="post_id")),
        Stream("todos", id="id", pages=_PAGES),
    )

    @classmethod
    def ready(cls, settings: Mapping[str, Any]) -> bool:
        """Whether `API_HOST` is a web address."""
        return bool(settings["rest_demo_api"])
