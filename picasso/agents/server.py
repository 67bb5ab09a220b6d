"""The server of the Model Context Protocol, with the SDK of its authors; only this module and ``turns`` need it.

https://modelcontextprotocol.io
"""

from __future__ import annotations

import base64
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, redirect_stdout
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ImageContent, TextContent, ToolAnnotations
from pydantic import Field, ValidationError

from picasso import __version__
from picasso.agents.answer import Answer
from picasso.agents.tools import Tools
from picasso.agents.turns import Progress, Turns
from picasso.audit.selection import PAIRS
from picasso.errors import PicassoError, reason
from picasso.imaging.masking import FILLS

log = logging.getLogger(__name__)

INSTRUCTIONS = (
    "Picasso shows where a trained image model looks. Call check first: it says what the model is and what may be "
    "wrong with it. Images are files below these folders: {folders}. A map shows what the model depends on, not why; "
    "test what it suggests with what_if, which hides parts of an image and predicts again."
)
Image = Annotated[str, Field(description="Path of an image, relative to one of the allowed folders.")]
Target = Annotated[
    str,
    Field(
        description='What to explain: a class by name or index, "a vs b", "value:age" (regression), "person@120,80" '
        '(segmentation), "box:0" (detection) or "like:other.png" (embedding). Empty: the most important predictions.'
    ),
]
Boxes = Annotated[
    list[list[float]],
    Field(description="Boxes to hide: left, top, right and bottom of each, from 0 to 1 of the width and the height."),
]


class Calls:
    """The tools as the protocol calls them; the docstrings are what the agent reads.

    Args:
        tools: computes the answers.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._turns = Turns(tools.settings.QUEUE_LENGTH, 60 * tools.settings.RUN_MINUTES)

    async def check(
        self,
        context: Context,
        images: Annotated[list[str], Field(description="Paths of images to predict, at most 16.")] = [],  # noqa: B006
    ) -> CallToolResult:
        """Return a summary of the model: input, output, classes, what it supports, predictions, and warnings."""
        return await self._answer(context, lambda progress: self._tools.check(images, progress))

    async def explain(
        self,
        context: Context,
        image: Image,
        visualization: Annotated[
            str, Field(description="Name of a visualization; see the tool visualizations.")
        ] = "PartialOcclusion",
        target: Target = "",
        settings: Annotated[
            dict[str, str | int | float | bool], Field(description="Settings of the visualization by name.")
        ] = {},  # noqa: B006
    ) -> CallToolResult:
        """Return maps of what the model depends on in an image, and their numbers and notes as JSON.

        largest_at and smallest_at are the x and y of a map's extremes, from 0 to 1 of the width and the height.
        """
        return await self._answer(
            context, lambda progress: self._tools.explain(image, visualization, target, settings, progress)
        )

    async def what_if(
        self,
        context: Context,
        image: Image,
        boxes: Boxes,
        fill: Annotated[str, Field(description=f"What hides them: {', '.join(FILLS)}.")] = "blur",
        other: Annotated[str, Field(description='Path of the image for the fill "image".')] = "",
        target: Target = "",
    ) -> CallToolResult:
        """Hide boxes of an image; return the predictions before and after, and the image as the model then sees it."""
        return await self._answer(
            context, lambda progress: self._tools.what_if(image, boxes, fill, other, target, progress)
        )

    async def audit(
        self,
        context: Context,
        folder: Annotated[str, Field(description="Path of a folder with one subfolder of images per class.")],
        pairs: Annotated[
            int, Field(ge=0, description="Pairs of classes to compare, most suspicious first; 0 for all.")
        ] = PAIRS,
    ) -> CallToolResult:
        """Look for spurious features that the model relies on rather than on the object; this may take minutes.

        Returns the verdict, the findings and the path of the report, and an image before and after for each finding.
        """
        return await self._answer(context, lambda progress: self._tools.audit(folder, pairs, progress))

    async def results(
        self,
        context: Context,
        name: Annotated[str, Field(description="Name of a result, from result of an answer; empty for a list.")] = "",
    ) -> CallToolResult:
        """List earlier results of explain and audit, or return one of them again with its images."""
        return await self._answer(context, lambda progress: self._tools.results(name, progress))

    async def visualizations(self, context: Context) -> CallToolResult:
        """List the visualizations: what each shows, its settings, and why it can't be used with this model, if so."""
        return await self._answer(context, self._tools.visualizations)

    async def _answer(self, context: Context, work: Callable[[Progress], Answer]) -> CallToolResult:
        """Compute an answer in its turn; an error is an answer of one sentence."""
        try:
            answer = await self._turns.run(work, context.report_progress)
        except PicassoError as error:
            return failure(error.message)
        except Exception as error:
            log.exception("A call failed")
            return failure(f"The call failed unexpectedly: {reason(error)}. The log of picasso mcp says more.")
        images = [
            ImageContent(type="image", data=base64.b64encode(one).decode(), mime_type="image/png")
            for one in answer.images
        ]
        return CallToolResult(content=[TextContent(type="text", text=answer.text), *images])


class Server(MCPServer):  # type: ignore[misc] # the SDK is not installed where types are checked
    """The SDK's server, which reports wrong arguments in one sentence."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        """Call a tool; arguments that it does not have are refused instead of ignored."""
        tools = {one.name: list(one.input_schema.get("properties", {})) for one in await self.list_tools()}
        if name not in tools:
            return failure(f"There is no tool {name[:60]!r}. The tools are {', '.join(tools)}.")
        if unknown := [one for one in arguments if one not in tools[name]]:
            known = ", ".join(tools[name]) or "none"
            return failure(f"{name} has no argument {unknown[0][:60]!r}. Its arguments are: {known}.")
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            first = error.__cause__.errors()[0]
            place = ".".join(map(str, first["loc"])) or "arguments"
            return failure(f"The argument {place} of {name} is wrong: {first['msg']}.")


def failure(message: str) -> CallToolResult:
    """Return an error as the answer of a tool, which the agent can read and correct."""
    return CallToolResult(content=[TextContent(type="text", text=message)], is_error=True)


def server_of(tools: Tools) -> Server:
    """Return the server of some tools."""
    folders = ", ".join(map(str, tools.files.folders))
    told = INSTRUCTIONS.format(folders=folders)

    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[None]:
        """Load the model from the beginning on.

        What Python code prints goes to standard error, because standard output is the protocol's. The SDK does so with
        the descriptor, but a text that is still in a buffer when it ends would be written afterwards.
        """
        with redirect_stdout(sys.stderr):
            tools.start()
            yield

    server = Server("picasso", instructions=told, version=__version__, lifespan=lifespan)
    calls = Calls(tools)
    for one in (calls.check, calls.explain, calls.what_if, calls.audit, calls.results, calls.visualizations):
        # Results are kept, but nothing of the user's is changed, and no other system is reached.
        hints = ToolAnnotations(
            read_only_hint=one not in (calls.explain, calls.audit), destructive_hint=False, open_world_hint=False
        )
        server.add_tool(one, annotations=hints, structured_output=False)
    return server


def serve(tools: Tools) -> None:
    """Answer by standard input and output until the input ends."""
    server_of(tools).run("stdio")
