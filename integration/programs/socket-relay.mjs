// Sends every socket that it is given back to its parent: the way from one worker to another over Node's IPC.
process.on('message', (message, socket) => {
  // Node has begun to read the socket, perhaps turns ago: `ahead` has these bytes. Later ones would be dropped.
  const ahead = socket.read();
  socket._handle.readStop();
  process.send({ ...message, ahead }, socket);
});
