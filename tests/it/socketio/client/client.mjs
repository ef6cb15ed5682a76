// The official Socket.IO client as a child process: commands come in as lines of JSON, everything it hears goes out as such.
import { createInterface } from 'node:readline';
import { io } from 'socket.io-client';

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

let socket;

const commands = {
  connect({ base, namespace, options }) {
    socket = io(`${base}${namespace}`, { reconnection: false, timeout: 15_000, ...options });
    socket.on('connect', () => say({ type: 'connect', transport: socket.io.engine.transport.name }));
    socket.on('connect_error', (error) => say({ type: 'connect_error', message: error.message }));
    socket.on('disconnect', (reason) => say({ type: 'disconnect', reason }));
    socket.onAny((name, ...args) => say({ type: 'event', name, args }));
  },
  emit({ id, event, args }) {
    socket.emit(event, ...args, (answer) => say({ type: 'ack', id, answer }));
  },
  // Tears the connection without a goodbye, as a train in a tunnel does.
  cut() {
    socket.io.engine.close();
  },
};

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { command, ...rest } = JSON.parse(line);
    commands[command](rest);
  })
  .on('close', () => process.exit(0));
