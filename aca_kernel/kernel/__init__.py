"""One kernel: takes requests, does one exchange after the other, answers each request once.

    core             decides: events in, commands out; no sockets, clock or tasks
    events           what can happen to a kernel
    commands         what it wants done
    driver           carries the commands out: sockets, calls to the pool, timers, tasks
    exchange_pacing  when another exchange may be done
    send_queue       requests that wait to be sent, or will get no answer
    outputs          what the remote kernel says, forwarded
    interrupt        what an interrupt is for
    recovery         what of a lost environment is brought to the next one
    plain_mode       cells in an environment without ipykernel
    idle_polls       looks after what still prints though no cell runs

Above: `app`. Below: every other room but `localpool`, `batch` and `cli`.
"""
