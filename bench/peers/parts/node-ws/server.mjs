// One channel, everybody on it: what a client sends goes to all clients, the sender too.

import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";

const http = createServer();
// No compression: ws has it off, and so do all others here.
const clients = new WebSocketServer({ server: http, perMessageDeflate: false }).on("connection", (client) => {
  client.on("error", () => client.terminate());
  client.on("message", (data, isBinary) => tell(data, isBinary));
}).clients;

function tell(data, isBinary) {
  for (const client of clients) {
    if (client.readyState === WebSocket.OPEN) client.send(data, { binary: isBinary });
  }
}

http.listen({ host: "127.0.0.1", port: Number(process.env.PORT), backlog: 4096 });
