"""Attacks on whoever runs a stranger's bundle: configurations that would run code, write or fill the memory.

`MARKER` in them stands for a file that must not come to be.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MARKER = "MARKER"
TOUCH = f"touch {MARKER}"
OPEN = f"open('{MARKER}', 'w')"
LOGGING = "[loggers]\nkeys=root\n[handlers]\nkeys=x\n[formatters]\nkeys=f\n[logger_root]\nhandlers=x\n"

# Run by MONAI's own ConfigParser as they stand, by the id `run`; each leaves the marker.
RUN_BY_MONAI: dict[str, dict[str, Any]] = {
    "os_system_as_target": {"run": {"_target_": "os.system", "command": TOUCH}},
    "exec_in_expression": {"run": f'$exec("{OPEN}")'},
    "open_in_expression": {"run": f"${OPEN}"},
    "import_in_expression": {"run": f"$__import__('os').system('{TOUCH}')"},
    "import_statement_of_another_id": {"other": "$import os", "run": f"$os.system('{TOUCH}')"},
    "inside_an_f_string": {"run": f"$f\"{{__import__('os').system('{TOUCH}')}}\""},
    "inside_a_lambda": {"run": f"$(lambda: __import__('os').system('{TOUCH}'))()"},
    "inside_a_comprehension": {"run": f"$[f('{TOUCH}') for f in [__import__('os').system]]"},
    "through_subclasses": {
        "run": "$[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0]"
        f".__init__.__globals__['system']('{TOUCH}')"
    },
    "through_torch": {"run": f"$torch.os.system('{TOUCH}')"},
    "through_monai": {"run": f"$monai.utils.module.optional_import('os')[0].system('{TOUCH}')"},
    "getattr_of_pieces": {"run": f"$getattr(__import__('o' + 's'), 'sys' + 'tem')('{TOUCH}')"},
    "a_partial": {
        "f": {"_target_": "functools.partial", "_mode_": "callable"},
        "run": f"$@f(torch.os.system, '{TOUCH}')()",
    },
    "letters_that_look_alike": {"run": f"$ｏｐｅｎ('{MARKER}', 'w')"},
    "a_disabled_component": {"run": {"_target_": "dict", "_disabled_": f"${OPEN}"}},
    "a_required_component": {"run": {"_target_": "dict", "_requires_": [f"${OPEN}"]}},
    "a_target_computed": {"run": {"_target_": "$torch.os.system", "command": TOUCH}},
    "a_target_by_macro": {"name": "os.system", "run": {"_target_": "%name", "command": TOUCH}},
    "a_reader_named_by_a_text": {
        "run": {"_target_": "LoadImage", "reader": "os.system", "command": TOUCH},
    },
    "a_reader_of_a_dictionary": {
        "run": {"_target_": "monai.transforms.LoadImaged", "keys": ["a"], "reader": "os.system"}
        | {"command": TOUCH},
    },
}
# Refused as well; not worth a run of their own.
ALSO_REFUSED: dict[str, dict[str, Any]] = {
    "log_named_as_a_login_script": {
        "log": {"_target_": "monai.handlers.LogfileHandler", "output_dir": "~", "filename": ".bashrc"}
    },
    "exec_as_target": {"run": {"_target_": "builtins.exec", "source": OPEN}},
    "format_with_attributes": {"run": "$'{0.__class__}'.format(@x)", "x": 1},
    "method_caller": {"run": {"_target_": "operator.methodcaller", "name": "system"}},
    "attribute_getter": {"run": {"_target_": "operator.attrgetter", "attr": "os.system"}},
    "monai_run": {"run": {"_target_": "monai.bundle.scripts.run", "run_id": "x"}},
    "monai_run_cmd": {"run": {"_target_": "monai.utils.run_cmd", "cmd_list": ["id"]}},
    "monai_download": {"run": {"_target_": "monai.apps.download_url", "url": "https://example.org/x"}},
    "monai_extract": {"run": {"_target_": "monai.apps.extractall", "filepath": "x.zip"}},
    "optional_import": {"run": {"_target_": "monai.utils.module.optional_import", "module": "os"}},
    "lambda_transform": {"run": {"_target_": "monai.transforms.Lambda", "func": "$lambda x: x"}},
    "torch_load": {"run": {"_target_": "torch.load", "f": "x.pt", "weights_only": False}},
    "torch_hub": {"run": {"_target_": "torch.hub.load", "repo_or_dir": "a/b", "model": "c"}},
    "torch_extension": {"run": {"_target_": "torch.utils.cpp_extension.load", "name": "x"}},
    "numpy_pickle": {"run": "$np.load('x.npy', allow_pickle=True)"},
    "numpy_reader": {"run": {"_target_": "monai.data.NumpyReader", "allow_pickle": True}},
    "persistent_data_set": {"run": {"_target_": "monai.data.PersistentDataset", "cache_dir": "x"}},
    "checkpoint_loader": {"run": {"_target_": "monai.handlers.CheckpointLoader", "load_path": "x.pt"}},
    "splitter_by_name": {"run": {"_target_": "monai.inferers.PatchInferer", "splitter": "os.system"}},
    "writer_by_name": {"run": {"_target_": "SaveImage", "writer": "os.system"}},
    "perceptual_loss_from_hub": {"run": {"_target_": "monai.losses.PerceptualLoss", "spatial_dims": 2}},
    "pretrained_over_http": {"run": {"_target_": "monai.networks.nets.SEResNet50", "pretrained": True}},
    "debugger": {"run": {"_target_": "dict", "_mode_": "debug"}},
    "debugger_flag": {"run": {"_target_": "dict", "_debug_": True}},
    "macro_of_another_file": {"run": "%../../secret.json#a"},
    "macro_of_an_absolute_file": {"run": "%/etc/x.yaml"},
    "relative_import": {"run": {"_target_": "scripts.net.Net"}},
    "another_package": {"run": {"_target_": "unheard_of.Net"}},
    "calls_what_it_made": {"f": {"_target_": "dict", "_mode_": "callable"}, "run": "$@f(a=1)"},
    "checkpoints_in_etc": {"run": {"_target_": "monai.handlers.CheckpointSaver", "save_dir": "/etc"}},
    "weights_from_home": {"init": "/home/someone/weights.pt"},
    "weights_from_share": {"init": "\\\\server\\share\\w.pt"},
    "weights_by_url": {"init": "https://example.org/w.pt"},
    "path_out_of_the_bundle": {"init": "$@bundle_root + '/../../x'"},
    "path_of_pieces": {"init": "$@bundle_root + '/.' + './x'"},
    "path_of_two_ids": {"dot": ".", "init": "$@bundle_root + '/' + @dot + @dot + '/x'"},
    "path_of_codes": {"init": "$'%c%s' % (47, 'etc')"},
    "path_of_formats": {"init": "$f'{47:c}etc'"},
    "path_of_bytes": {"init": "$str(b'/etc', 'ascii')"},
    "path_reversed": {"init": "$'cte/'[::-1]"},
    "path_joined": {"init": "$'e'.join(['/', 'tc'])"},
    "path_replaced": {"init": "$'xetc'.replace('x', '/')"},
    "output_in_the_working_folder": {"output_dir": "."},
    "output_named_as_a_login_script": {"output": ".bashrc"},
    "output_hidden_in_the_bundle": {"output": "$@bundle_root + '/.git/hooks/x'"},
    "output_beside_the_bundle": {"output": "$@bundle_root + 'x'"},
    "output_from_a_character": {"c": "$min(@a)", "a": "x/", "output": "$@c + 'etc/x'"},
    "output_by_a_nested_key": {"evaluator#output": "elsewhere/x"},
    "output_of_a_call": {"run": "$mammo_monai.metrics.score_files('a', 'b', output='.bashrc')"},
    "output_of_an_argument_without_a_name": {"run": "$mammo_monai.inference.fuse_files(['a'], '.bashrc')"},
    "output_of_a_component_handed_on": {
        "f": {"_target_": "mammo_monai.engines.TensorBoardHandler", "_mode_": "callable"},
        "run": {"_target_": "monai.data.Dataset", "data": ["elsewhere"], "transform": "@f"},
    },
    "output_of_a_key": {"run": "$sorted(['elsewhere'], key=mammo_monai.engines.TensorBoardHandler)"},
    "calls_a_loops_variable": {
        "f": {"_target_": "dict", "_mode_": "callable"},
        "run": "$[g(a=1) for g in [@f]]",
    },
    "calls_by_a_key": {"f": {"_target_": "dict", "_mode_": "callable"}, "run": "$sorted([1], key=@f)"},
    "path_in_a_list": {"init": "$[@a, '/etc/passwd'][1]", "a": 1},
    "path_of_two_cases": {"init": "$'/etc/passwd' if @a else ''", "a": 1},
    "macro_of_a_file_with_a_line_end": {"run": "%models/x.json\n"},
    "macro_of_a_file_with_colons": {"run": "%models/a::b.json"},
    "macro_of_a_file_with_a_sharp": {"run": "%models/a#b.yaml"},
    "tower_of_powers": {"n": "$9**9**9"},
    "shifted_far": {"n": "$1 << 10**9"},
    "text_of_ten_billion": {"n": "$'x' * 10**10"},
    "text_of_a_thousand_thousands": {"n": "$'x' * 1000 * 1000 * 1000"},
    "list_of_an_id_a_billion_times": {"n": "$@a * 1000000 * 1000000", "a": [0]},
    "power_of_floats": {"n": "$[0] * (9.9e5 ** 64.)"},
    "list_of_ten_billion": {"n": "$[0] * 10000000000"},
    "loop_of_ten_billion": {"n": "$sum(range(10000000000))"},
    "loops_in_loops": {"n": "$[1 for a in @x for b in @x for c in @x]", "x": [1]},
    "copies_of_copies": {"a": [1, 1], "b": ["%a", "%a"], "c": ["%b", "%b"], "d": ["%c", "%c"]},
    "a_copy_of_all": {"a": "%"},
    "many_copies": {"a": [1], "b": ["%a"] * 65},
    "deep_brackets": {"n": "$" + "(" * 300 + "1" + ")" * 300},
    "deep_signs": {"n": "$" + "-" * 5000 + "1"},
    "endless_not": {"n": "$" + "not " * 3000 + "1"},
    "long_expression": {"n": "$" + "1+" * 20_000 + "1"},
    "key_that_becomes_code": {"x'] + eval('1') + ['": 1},
}
LOGGING_ATTACKS = {
    "arguments": f"[handler_x]\nclass=StreamHandler\nargs=({OPEN},)\n[formatter_f]\n",
    "keywords": f"[handler_x]\nclass=StreamHandler\nargs=()\nkwargs={{'stream': {OPEN}}}\n[formatter_f]\n",
    "class": f"[handler_x]\nclass={OPEN}\nargs=()\n[formatter_f]\n",
    "imported_class": "[handler_x]\nclass=subprocess.Popen\nargs=(['id'],)\n[formatter_f]\n",
    "formatter": "[handler_x]\nclass=StreamHandler\nargs=()\n[formatter_f]\nclass=subprocess.Popen\n",
    "formatter_of_a_file": "[handler_x]\nclass=StreamHandler\nargs=()\n[formatter_f]\nclass=Formatter\n",
    "formatter_defaults": f"[handler_x]\nclass=StreamHandler\nargs=()\n[formatter_f]\ndefaults={OPEN}\n",
    "interpolated": f"[handler_x]\nbad={OPEN}\nclass=StreamHandler\nargs=(%(bad)s,)\n[formatter_f]\n",
    "defaults": f"[DEFAULT]\nargs=({OPEN},)\n[handler_x]\nclass=StreamHandler\n[formatter_f]\n",
    "file": f"[handler_x]\nclass=FileHandler\nargs=('{MARKER}',)\n[formatter_f]\n",
    "network": "[handler_x]\nclass=handlers.HTTPHandler\nargs=('example.org', '/')\n[formatter_f]\n",
}


def placed(content: object, marker: Path) -> str:
    """The JSON text of an attack with its marker's path."""
    return json.dumps(content).replace(MARKER, str(marker))


def stranger(folder: Path, content: object, marker: Path, *, logging: str | None = None) -> Path:
    """A bundle whose every configuration is the attack."""
    configs = folder / "stranger" / "configs"
    configs.mkdir(parents=True)
    for name in ("train", "inference", "evaluate"):
        (configs / f"{name}.json").write_text(placed(content, marker))
    if logging is not None:
        (configs / "logging.conf").write_text((LOGGING + logging).replace(MARKER, str(marker)))
    return configs.parent
