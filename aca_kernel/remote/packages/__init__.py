"""Packages of a notebook in its environment: installed before cells, and with a restore.

    attach           what a start pays for; imports the others when there is something to do
    distributions    what Python finds, what of that is the image's, and the difference
    script_metadata  inline script metadata (PEP 723) in the text of a cell
    unmet            which requirements are not there in a fitting version
    installer        uv or pip, with a time limit, progress, and the decisive line of a failure
    uv_binary        uv, where the environment has it or is given it
    parts            an installation of which a part may fail
    before_cells     what the setting `packages` or a cell's metadata ask for
    added            what checkpoints keep, and how it comes back
    overview         the same for a reader (`%aca packages`)

Standard library; `packaging`, which ipykernel needs, where a module says so.
"""

# Of inline script metadata: cells without it, which are nearly all, are not looked at any closer.
MARK = "# /// script"
