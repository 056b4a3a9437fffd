// Sends every socket that it is given back to its parent: the way from one worker to another over Node's IPC.
process.on('message', (message, socket) => {
  // Bytes that are read from now on would be dropped.
  socket._handle.readStop();
  process.send(message, socket);
});
