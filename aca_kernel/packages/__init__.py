"""What a notebook's setting `packages` asks for, read on the user's machine.

Above: `host`, which answers the environment with it. Below: `remote.packages`, errors,
settings. Nothing is installed on this machine: what is read here goes to an environment, as text.

    declared           the setting: requirements, and names of files beside the notebook
    requirement_lines  files of requirements
    projects           `pyproject.toml`, and what locks share with it
    uv_lock            `uv.lock`
    notebook_block     script metadata of a notebook whose cells are all known
"""
