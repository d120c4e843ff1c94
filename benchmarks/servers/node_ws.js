// Node's `ws`. `node node_ws.js PORT`, with NODE_PATH where the package is.
"use strict";

const http = require("node:http");
const { WebSocketServer, WebSocket } = require("ws");

const CLIENT = "0123456789abcdefghijkl";
const envelope = (path, data, status = 200) =>
  JSON.stringify({ path, status, timestamp: Date.now(), language: "en", client: CLIENT, data });

const server = http.createServer((request, response) => {
  const user = /^\/users\/([^/]+)$/.exec(request.url);
  if (request.url === "/") {
    response.setHeader("content-type", "text/plain; charset=utf-8");
    response.setHeader("content-length", 5);
    response.end("hello");
  } else if (user) {
    const body = JSON.stringify({ id: user[1], name: "finch" });
    response.setHeader("content-type", "application/json");
    response.setHeader("content-length", Buffer.byteLength(body));
    response.end(body);
  } else {
    response.statusCode = 404;
    response.setHeader("content-length", 0);
    response.end();
  }
});
server.keepAliveTimeout = 15000;

const envelopes = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const raw = new WebSocketServer({ noServer: true, perMessageDeflate: false });

const handlers = {
  echo: (socket, data) => socket.send(envelope("echo", data)),
  broadcast: (socket, data) => {
    // one Buffer for all: `ws` then encodes the text once
    const message = Buffer.from(envelope("broadcast", data));
    for (const client of envelopes.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(message, { binary: false });
    }
  },
};

envelopes.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (text) => {
    const { path, data } = JSON.parse(text);
    const handler = Object.hasOwn(handlers, path) ? handlers[path] : null;
    if (handler) handler(socket, data);
    else socket.send(envelope("error", { message: "nobody handles this path", path }, 404));
  });
});

raw.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});

server.on("upgrade", (request, socket, head) => {
  const target = request.url === "/raw" ? raw : envelopes;
  target.handleUpgrade(request, socket, head, (open) => target.emit("connection", open, request));
});

server.listen(Number(process.argv[2]), "127.0.0.1", 2048);
