// Node's Socket.IO. `node node_socketio.js PORT`, with NODE_PATH where the package is.
"use strict";

const http = require("node:http");
const { Server } = require("socket.io");

const CLIENT = "0123456789abcdefghijkl";
const envelope = (path, data, more) => ({
  path,
  status: 200,
  timestamp: Date.now(),
  language: "en",
  client: CLIENT,
  data,
  ...more,
});

const server = http.createServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false });

io.on("connection", (socket) => {
  socket.on("echo", (data) => socket.emit("echo", envelope("echo", data)));
  socket.on("broadcast", (data) => io.emit("broadcast", envelope("broadcast", data)));
  socket.on("join", (room, answer) => {
    socket.join(room);
    answer(room);
  });
  socket.on("leave", (room, answer) => {
    socket.leave(room);
    answer(room);
  });
  socket.on("say", (room, data) => io.to(room).emit("say", envelope("say", data, { room })));
});

server.listen(Number(process.argv[2]), "127.0.0.1", 2048);
