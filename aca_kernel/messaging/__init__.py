"""Jupyter messages on the front end's side: sockets, requests, replies. Knows no environment.

    channels      the five sockets that front ends connect to
    inbox         what happens, as values that are handled in turn
    outgoing      messages to front ends, as values
    requests      requests that are not finished, each of which gets its end
    publisher     messages of the kernel's own: replies, status, sentences for the user
    kernel_info   the answer to kernel_info_request
    loss_wording  sentences about what was lost with an environment or a remote kernel
    early_status  busy and execute_input, ahead of the remote kernel's own
    unlaunched    requests that are answered while there is no environment
    subshells     subshell ids that outlive the remote kernel that made them
    rate_limit    output that has piled up, below what Jupyter Server lets pass

Above: `kernel`. Below: `remote.wire` and `errors`.
"""
