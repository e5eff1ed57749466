// A room for each channel. Who connects says in its handshake which one; what it emits as "message" goes to
// all of the room, the sender too.

import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { serveClient: false });

// What Socket.IO's guide on memory advises: nobody looks at the request that opened the connection again.
io.engine.on("connection", (socket) => {
  socket.request = null;
});

if (process.env.REDIS_URL) {
  const publishing = createClient({ url: process.env.REDIS_URL });
  const subscribed = publishing.duplicate();
  for (const client of [publishing, subscribed]) client.on("error", (error) => console.error(error.message));
  await Promise.all([publishing.connect(), subscribed.connect()]);
  io.adapter(createAdapter(publishing, subscribed));
}

io.on("connection", (socket) => {
  const { channel } = socket.handshake.auth;
  socket.join(channel);
  socket.on("message", (data) => io.to(channel).emit("message", data));
});

http.listen({ host: "127.0.0.1", port: Number(process.env.PORT), backlog: 4096 });
