// A kernel client of @jupyterlab/services that does what it is told.
//
// Arguments: URL and token of a Jupyter server. Each line of standard input is a command, a
// JSON object whose `op` names one of the operations below. Each line of standard output is an
// event: the answer to a command, or something that happened.

'use strict';

const readline = require('node:readline');
const { KernelManager, ServerConnection } = require('@jupyterlab/services');

// Standard output is for events only; the library has its own news.
console.log = console.info = console.debug = console.error;

const [baseUrl, token] = process.argv.slice(2);
const manager = new KernelManager({
  serverSettings: ServerConnection.makeSettings({
    baseUrl,
    wsUrl: baseUrl.replace('http', 'ws'),
    token,
    appendToken: true
  })
});
const comms = new Map();
let kernel;

function tell(event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
}

function bytes(buffers) {
  return (buffers ?? []).map(one => Array.from(new Uint8Array(one.buffer ?? one)));
}

function follow(id, future) {
  // What the library hands on, which is less than what arrives if it takes the kernel for another.
  future.onIOPub = msg => tell('output', { id, type: msg.header.msg_type, content: msg.content });
  future.onReply = msg => tell('reply', { id, content: msg.content });
  future.onStdin = msg => {
    tell('asked', { id, prompt: msg.content.prompt });
  };
  future.done.then(
    () => tell('done', { id }),
    error => tell('failed', { id, reason: String(error) })
  );
}

function followComm(comm) {
  comms.set(comm.commId, comm);
  comm.onMsg = msg =>
    tell('comm', { comm: comm.commId, data: msg.content.data, buffers: bytes(msg.buffers) });
  comm.onClose = () => tell('closed', { comm: comm.commId });
}

const operations = {
  async start({ name }) {
    await manager.ready;
    kernel = await manager.startNew({ name });
    kernel.anyMessage.connect((_, { msg, direction }) => {
      if (direction === 'recv') {
        tell('received', {
          type: msg.header.msg_type,
          channel: msg.channel,
          session: msg.header.session,
          parent: msg.parent_header.msg_id
        });
      }
    });
    kernel.statusChanged.connect((_, status) => tell('status', { status }));
    kernel.registerCommTarget('from-the-kernel', (comm, msg) => {
      followComm(comm);
      tell('opened', { comm: comm.commId, data: msg.content.data, buffers: bytes(msg.buffers) });
    });
    const info = await kernel.info;
    return { id: kernel.id, language: info.language_info.name, features: info.supported_features };
  },
  async execute({ id, code, options }) {
    const future = kernel.requestExecute({ code, ...options }, false);
    follow(id, future);
    return { msg_id: future.msg.header.msg_id };
  },
  async input({ value }) {
    kernel.sendInputReply({ status: 'ok', value }, { msg_id: '', session: '' });
  },
  async complete({ code }) {
    const reply = await kernel.requestComplete({ code, cursor_pos: code.length });
    return reply.content;
  },
  async open({ target, data }) {
    const comm = kernel.createComm(target);
    followComm(comm);
    await comm.open(data).done;
    // By default the library has a subshell made for each target, and sends to it from then on.
    await comm.subshellStarted;
    return { comm: comm.commId, subshell: comm.subshellId };
  },
  async send({ comm, id, data, buffers }) {
    const views = (buffers ?? []).map(one => new Uint8Array(one));
    follow(id, comms.get(comm).send(data, {}, views, false));
  },
  async interrupt() {
    await kernel.interrupt();
  },
  async restart() {
    await kernel.restart();
    await kernel.info;
  },
  async state() {
    return { status: kernel.status, connection: kernel.connectionStatus };
  },
  async shutdown() {
    await kernel.shutdown();
    return { status: kernel.status };
  }
};

readline
  .createInterface({ input: process.stdin })
  .on('line', async line => {
    const { op, number, ...fields } = JSON.parse(line);
    try {
      tell('answer', { number, result: (await operations[op](fields)) ?? null });
    } catch (error) {
      tell('answer', { number, error: String(error?.stack ?? error) });
    }
  })
  .on('close', () => process.exit(0));
