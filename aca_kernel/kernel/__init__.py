"""One kernel: takes requests, does one exchange after the other, answers each request once.

    frontend    the kernel as front ends see it
    loop        exchanges, as long as there is something to send, to wait for or to look after
    lifecycle   one environment after the other, and what ends with it
    send_queue  requests that wait to be sent, or will get no answer
    outputs     what the remote kernel says, forwarded
    interrupt   an interrupt, by the way that reaches the running cell
    recovery    what of a lost environment is brought to the next one
    plain_mode  cells in an environment without ipykernel
    idle_polls  looks after what still prints though no cell runs

Above: `app`. Below: every other room but `localpool`, `batch` and `cli`.
"""
