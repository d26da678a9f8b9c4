"""The words by which tensors, data and what merely describes them are known in code."""

from __future__ import annotations

import re

DATA = re.compile(
    r"_*(?!(?:\w+_)?(?:num|n|nb|no|total|max|min|count|seen|len|avg|mean|processed|remaining|per|use|has|is|new|special|stop|class|axis|tick)_)"
    r"(?:(?:\w+_)?(?:batch|logits|images|embeddings|hidden_states|input_ids|pixel_values|attention_mask|state_dict|grads|gradients"
    r"|activations|tensor|tensors|ndarray|labels|tokens|samples|inputs|predictions|preds|waveform|spectrogram|dataframe)"
    r"|(?:batch_|train_|test_|val_)?targets|sample|example|examples|weights|(?:\w+_)?df|[xy]_(?:train|test|val|valid|batch|pred|true)"
    r"|batch_[xy]|[xy]b)",
    re.IGNORECASE,
)
SETS = re.compile(
    r"_*(?:\w+_)?(?:dataset|loader|dataloader|dl)(?:_(?:train|test|val))?|(?:train|training|test|val|valid)_?(?:set|ds|data)",
    re.IGNORECASE,
)
FIGURES = re.compile(
    r"_*(?:\w+_)?(?:loss(?:es)?|acc|accuracy|scores?|errors?|metrics?|lr|time|steps?|epochs?|count|total|mean|std|avg|ppl|perplexity|reward"
    r"|norm|auc|f1|precision|recall|bleu|iou|mse|mae|rmse|r2)(?:_\w+)?",
    re.IGNORECASE,
)
SETTINGS = re.compile(
    r"_*(?:config|configuration|cfg|args|arguments|opts?|options|settings|hparams|request|response|event|message|payload)"
)
HARMLESS_KEYS = frozenset(
    {"count", "epoch", "file", "id", "ids", "length", "loss", "lr", "name", "path", "size", "step"} | {"version"}
)
DESCRIBES = frozenset(
    {"__class__", "batch_size", "columns", "device", "dtype", "dtypes", "features", "grad_fn", "is_cuda"}
    | {"itemsize", "layout", "name", "names", "nbytes", "ndim", "num_rows", "requires_grad", "shape"}
    | {"size"}
)
DESCRIBING_CALLS = frozenset(
    {"data_ptr", "describe", "dim", "element_size", "get_device", "hash", "hexdigest", "id", "info"}
    | {"is_contiguous", "isinstance", "item", "keys", "len", "memory_usage", "nelement", "numel", "nunique"}
    | {"stride", "type"}
)
REDUCES = frozenset(
    {"abs", "all", "any", "argmax", "argmin", "bool", "count", "count_nonzero", "float", "int", "max"}
    | {"mean", "median", "min", "norm", "nunique", "prod", "quantile", "round", "std", "sum", "var"}
)
CONVERTS = frozenset(
    {"Audio", "Histogram", "Image", "Table", "array2string", "array_repr", "array_str", "asdict"}
    | {"astype", "batch_decode", "bfloat16", "chunk", "clone", "contiguous", "copy", "cpu", "cuda"}
    | {"decode", "deepcopy", "detach", "dict", "double", "dumps", "enumerate", "filter", "flatten"}
    | {"format", "half", "head", "items", "iter", "join", "list", "long", "map", "next", "numpy", "permute"}
    | {"pformat", "pprint", "ravel", "repr", "reshape", "reversed", "sample", "select", "set", "sigmoid"}
    | {"softmax", "sorted", "split", "squeeze", "str", "tail", "take", "to", "to_dict", "to_json"}
    | {"to_list", "to_markdown", "to_numpy", "to_string", "tolist", "topk", "transpose", "tuple", "type_as"}
    | {"unsqueeze", "values", "vars", "view", "zip"}
)
PRODUCERS = frozenset(
    {"DataFrame", "arange", "array", "as_tensor", "asarray", "cat", "concat", "concatenate"}
    | {"convert_to_tensor", "einsum", "empty", "eye", "from_numpy", "full", "hstack", "linspace", "loadtxt"}
    | {"log_softmax", "matmul", "normal", "one_hot", "ones", "ones_like", "permutation", "rand"}
    | {"rand_like", "randint", "randn", "randn_like", "randperm", "read_csv", "read_json", "read_parquet"}
    | {"relu", "sigmoid", "softmax", "stack", "tensor", "topk", "uniform", "vstack", "where", "zeros"}
    | {"zeros_like"}
)
LIBRARIES = frozenset({"cupy", "jax", "numpy", "pandas", "polars", "tensorflow", "torch"})
MODELS = frozenset(
    {"backbone", "decoder", "encoder", "forward", "get_weights", "model", "net", "network", "predict", "state_dict"}
)
TENSOR_TYPES = re.compile(
    r"\b(?:\w*Tensor|ndarray|NDArray|ArrayLike|Array|DataFrame|LazyFrame|BatchEncoding|\w*Batch)\b"
)
PLAIN_TYPES = re.compile(
    r"[\s|]*(?:(?:int|float|str|bool|Path|None|object)[\s|]*)+|(?:list|tuple|Sequence|dict)\[(?:str|int)[\s,.]*(?:str|int|float)?[\s.]*\]"
)
