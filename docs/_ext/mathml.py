"""Formulas as MathML, which browsers draw themselves: no JavaScript, no network, no LaTeX."""

from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml


def tex(node: nodes.Element) -> str:
    r"""Return the LaTeX code of a formula; docutils knows `\ldots`, and not `\dots`."""
    return node.astext().replace(r"\dots", r"\ldots")


def visit_inline(self: Any, node: nodes.math) -> None:
    self.body.append(tex2mathml(tex(node)))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{tex2mathml(tex(node), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
