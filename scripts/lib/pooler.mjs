// A small pooler between the local worker and its PostgreSQL, for want of Hyperdrive: hundreds of clients
// share a few server connections, each for the length of a transaction, and wait for one when all are taken.
// As with Hyperdrive and PgBouncer, what belongs to a session (SET, named statements) does not outlive it.

import net from 'node:net';
import pg from 'pg';

const READY = 'Z'.charCodeAt(0);
const SYNC = 'S'.charCodeAt(0);
const QUERY = 'Q'.charCodeAt(0);
const TERMINATE = 'X'.charCodeAt(0);
const PASSWORD = 'p'.charCodeAt(0);
const IDLE = 'I'.charCodeAt(0);

const PROTOCOL = 196_608;

/** A message of the protocol: its type, its length, its content. */
function message(type, ...parts) {
  const content = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)));
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(content.length + 4, 1);
  return Buffer.concat([head, content]);
}

const int32 = (number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(number);
  return bytes;
};

const failure = (code, text) => message('E', Buffer.from('S'), 'FATAL', Buffer.from('C'), code, Buffer.from('M'), text, Buffer.alloc(1));

/** Cuts a stream into messages; the first one of a client has no type. */
class Messages {
  #rest = Buffer.alloc(0);

  /** The whole messages that are there with another chunk. */
  * of(chunk, untyped = () => false) {
    this.#rest = this.#rest.length ? Buffer.concat([this.#rest, chunk]) : chunk;
    for (;;) {
      const head = untyped() ? 0 : 1;
      if (this.#rest.length < head + 4) return;
      const length = head + this.#rest.readInt32BE(head);
      if (this.#rest.length < length) return;
      const one = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      yield one;
    }
  }
}

export class Pooler {
  #url;
  #places;
  #links = 0;
  #idle = [];
  #waiting = [];
  #clients = new Set();
  #parameters = [];

  /**
   * Opens the pooler on a port of its own.
   *
   * @param {string} url of the server; clients give the same user, database and password
   * @param {number} places server connections at most
   */
  static async open(url, places) {
    const pooler = new Pooler();
    pooler.#url = new URL(url);
    pooler.#places = places;
    pooler.server = net.createServer({ noDelay: true }, (socket) => pooler.#serve(socket));
    await new Promise((resolve, reject) => pooler.server.once('error', reject).listen(0, '127.0.0.1', resolve));
    // It is no reason to stay.
    pooler.server.unref();
    const own = new URL(url);
    own.port = pooler.server.address().port;
    pooler.url = own.href;
    return pooler;
  }

  /** Ends all connections. */
  close() {
    this.server.close();
    for (const client of this.#clients) client.socket.destroy();
    for (const link of this.#idle) link.socket.destroy();
  }

  /** Opens a server connection: the driver signs in, then only its socket is used. */
  async #connect() {
    const driver = new pg.Client({ connectionString: this.#url.href });
    const parameters = [];
    driver.connection.on('parameterStatus', ({ parameterName, parameterValue }) => parameters.push([parameterName, parameterValue]));
    driver.on('error', () => {});
    await driver.connect();
    const socket = driver.connection.stream;
    for (const event of ['data', 'end', 'close', 'error']) socket.removeAllListeners(event);
    this.#parameters = parameters;
    const link = { socket, client: null, status: IDLE };
    const messages = new Messages();
    socket.on('data', (chunk) => {
      let answered = 0;
      for (const one of messages.of(chunk)) {
        if (one[0] !== READY) continue;
        answered += 1;
        link.status = one[5];
      }
      const { client } = link;
      client?.socket.write(chunk);
      if (!client) return;
      client.owed -= answered;
      if (answered && client.owed === 0 && link.status === IDLE) this.#release(link);
    });
    socket.on('error', () => {}).on('close', () => {
      this.#links -= 1;
      this.#idle = this.#idle.filter((one) => one !== link);
      link.client?.socket.destroy();
      this.#assign();
    });
    return link;
  }

  #release(link) {
    link.client.link = null;
    link.client = null;
    this.#idle.push(link);
    this.#assign();
  }

  /** Gives server connections to those who wait, as long as there are any. */
  #assign() {
    while (this.#waiting.length) {
      const link = this.#idle.pop();
      if (link) {
        this.#bind(this.#waiting.shift(), link);
      } else if (this.#links < this.#places) {
        this.#links += 1;
        const client = this.#waiting.shift();
        this.#connect().then((made) => this.#bind(client, made), (error) => {
          this.#links -= 1;
          client.socket.end(failure(error.code ?? '08006', error.message));
          this.#assign();
        });
      } else {
        return;
      }
    }
  }

  #bind(client, link) {
    if (client.socket.destroyed) {
      this.#idle.push(link);
      this.#assign();
      return;
    }
    client.link = link;
    link.client = client;
    link.socket.write(Buffer.concat(client.held.splice(0)));
  }

  #serve(socket) {
    const client = { socket, link: null, held: [], owed: 0, isIn: false, hasStarted: false };
    this.#clients.add(client);
    const messages = new Messages();
    socket.on('data', (chunk) => {
      const passed = [];
      for (const one of messages.of(chunk, () => !client.hasStarted)) {
        if (!client.isIn) {
          this.#welcome(client, one);
        } else if (one[0] === TERMINATE) {
          socket.end();
        } else {
          if (one[0] === SYNC || one[0] === QUERY) client.owed += 1;
          passed.push(one);
        }
      }
      if (!passed.length) return;
      if (client.link) {
        client.link.socket.write(Buffer.concat(passed));
        return;
      }
      if (!client.held.length) this.#waiting.push(client);
      client.held.push(...passed);
      this.#assign();
    });
    socket.on('error', () => {}).on('close', () => {
      this.#clients.delete(client);
      this.#waiting = this.#waiting.filter((one) => one !== client);
      // In the middle of something: the server undoes it.
      client.link?.socket.destroy();
    });
  }

  /** The beginning of a client's connection: who it is, and its password. */
  async #welcome(client, one) {
    const { socket } = client;
    if (!client.hasStarted) {
      if (one.readInt32BE(4) !== PROTOCOL) {
        // Encryption, which is of no use on this machine, or the wish to cancel.
        socket.write('N');
        return;
      }
      client.hasStarted = true;
      const fields = one.subarray(8).toString().split('\0');
      client.wanted = Object.fromEntries(fields.flatMap((name, index) => (index % 2 ? [] : [[name, fields[index + 1]]])));
      socket.write(message('R', int32(3)));
      return;
    }
    const given = one[0] === PASSWORD ? one.subarray(5, -1).toString() : null;
    const { username, password, pathname } = this.#url;
    if (given !== decodeURIComponent(password) || client.wanted.user !== username || client.wanted.database !== pathname.slice(1)) {
      socket.end(failure('28P01', 'password authentication failed'));
      return;
    }
    client.isIn = true;
    const parameters = [['server_encoding', 'UTF8'], ['client_encoding', 'UTF8'], ...this.#parameters];
    socket.write(Buffer.concat([
      message('R', int32(0)), ...parameters.map((pair) => message('S', ...pair)), message('K', int32(0), int32(0)), message('Z', Buffer.from('I')),
    ]));
  }
}
