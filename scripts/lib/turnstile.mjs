// A door before a server that takes only so many connections: whoever comes when all places are taken
// waits for one. In production Hyperdrive does that, and more.

import net from 'node:net';

/**
 * Opens the door on a port of its own.
 *
 * @param {number} serverPort where the server listens on this machine
 * @param {number} places connections at a time
 * @returns {Promise<{port: number, close: () => void}>}
 */
export async function openTurnstile(serverPort, places) {
  const waiting = [];
  let taken = 0;

  function admit() {
    while (taken < places && waiting.length) {
      const client = waiting.shift();
      taken += 1;
      const server = net.connect({ port: serverPort, host: '127.0.0.1', noDelay: true });
      client.pipe(server).pipe(client);
      const end = () => {
        client.destroy();
        server.destroy();
      };
      client.on('error', end).on('close', end);
      server.on('error', end).on('close', () => {
        end();
        taken -= 1;
        admit();
      });
    }
  }

  const door = net.createServer({ noDelay: true, pauseOnConnect: true }, (client) => {
    waiting.push(client);
    admit();
  });
  await new Promise((resolve, reject) => door.once('error', reject).listen(0, '127.0.0.1', resolve));
  // It is no reason to stay.
  door.unref();
  return { port: door.address().port, close: () => door.close() };
}
