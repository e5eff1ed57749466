"""One channel, everybody on it: what a client sends goes to all clients, the sender too.

Python runs for a message that comes in, not for those that go out: uWebSockets fans out by itself.
"""

import os

from socketify import App, AppListenOptions, CompressOptions

CHANNEL = "all"

app = App()
app.ws(
    "/*",
    {
        "compression": CompressOptions.DISABLED,
        # uWebSockets' own default; socketify's would leave pings out.
        "send_pings_automatically": True,
        "idle_timeout": 120,
        # Over this a slow reader misses publications: far more than any window here.
        "max_backpressure": 1024 * 1024,
        "open": lambda client: client.subscribe(CHANNEL),
        "message": lambda client, message, opcode: app.publish(CHANNEL, message, opcode),
    },
)
app.listen(AppListenOptions(port=int(os.environ["PORT"]), host="127.0.0.1"))
# Not app.run(): that turns asyncio's loop, which asks the native one again and again and so keeps a core
# busy. Nothing here needs asyncio, so the native loop may sleep until there is something to do.
app.loop.uv_loop.run()
