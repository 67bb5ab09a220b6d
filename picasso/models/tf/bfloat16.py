"""Compute a TensorFlow function with bfloat16 products: those of matrices and convolutions, with float32 sums.

TensorFlow's optimizer of graphs replaces their types (``auto_mixed_precision_onednn_bfloat16``) when a function is
called with this option for the first time. It keeps both versions of the function, so that each call can choose.

oneDNN's own switch (``ONEDNN_DEFAULT_FPMATH_MODE``, in TensorFlow ``TF_SET_ONEDNN_FPMATH_MODE``) holds for the whole
process, so that nothing exact would be left to compare with. It had no effect on a processor without matrix tiles
(AMX).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from picasso.models.tf.runtime import eager_context, rewriter_config_pb2


@contextmanager
def bfloat16(used: bool) -> Iterator[None]:
    """Use bfloat16 in the functions that this thread calls in a block, or, if not ``used``, nothing special."""
    if not used:
        yield
        return
    context = eager_context.context()
    kept = context.function_call_options
    config = context.config
    config.allow_soft_placement = True
    config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    # The options are those of this thread; a public function would change them for all threads.
    context.function_call_options = eager_context.FunctionCallOptions(config_proto=config)
    try:
        yield
    finally:
        context.function_call_options = kept
