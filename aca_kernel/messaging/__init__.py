"""Jupyter messages on the front end's side: sockets, requests, replies. Knows no environment.

    front_ends       the contract of the front ends' side
    channels         the five sockets that front ends connect to
    memory_channels  the same for a front end in this process
    inbox            events, as values that are handled in turn
    outgoing         messages to front ends, as values
    requests         the table of unfinished requests; request_state: what may become of one
    publisher        messages of the kernel's own: replies, status, sentences for the user
    kernel_info      the answer to kernel_info_request
    loss_wording     sentences on the loss of an environment or a remote kernel
    early_status     busy and execute_input, ahead of the remote kernel's own
    unlaunched       answers to requests without an environment
    hidden           code that VS Code runs by itself
    setup_code       what of it runs ahead of the user's cells in each remote kernel
    widget_scripts   a check of the ipywidgets version that VS Code was told
    subshells        subshell ids that outlive their remote kernel
    rate_limit       backlogs of output, sent below Jupyter Server's limits

Above: `kernel`. Below: `remote.wire` and `errors`.
"""
