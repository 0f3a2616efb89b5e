"""One kernel: takes requests, does one exchange after the other, answers each request once.

    core             decides: events in, commands out; no sockets, clock or tasks
    events           what can happen to a kernel
    commands         what it wants done
    shared           what the core and its parts have in common
    driver           handles events in turn, carries the commands out
    jobs             launches, exchanges, host calls: one at a time
    tasks            tasks beside them, of which none fails unseen
    exchange_loop    exchanges with one remote kernel: when, and for how long
    shell_lines      the `!` lines of a cell
    send_queue       requests that wait to be sent, or will get no answer
    delivery         records that have come and are not handed on yet
    outputs          what the remote kernel says, forwarded
    pool_trouble     why the user waits for the pool
    interrupt        what an interrupt is for
    ending           shutdowns, and cells that call `exit`
    lifecycle        environments: launched, lost, left, their remote kernels buried
    usage            memory and processor time, for a panel that shows them
    recovery         what of a lost environment is brought to the next one
    plain_mode       cells in an environment without ipykernel
    idle_polls       looks after what still prints though no cell runs

Above: `app`. Below: every other room but `localpool`, `batch` and `cli`.
"""
