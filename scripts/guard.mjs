// Runs one program and ends it when told so, or when whoever started this guard is
// gone: the channel between the two closes even when that process is killed.

import { spawn } from 'node:child_process';

const { command, args, stopSignal, uid, gid } = JSON.parse(process.argv[2]);

// How long the program may take to end once nobody is left to tell us.
const ORPHAN_PATIENCE = 8000;

const child = spawn(command, args, {
  stdio: ['ignore', 'inherit', 'inherit'], detached: true, uid, gid,
});
child.on('error', (error) => {
  if (process.connected) process.send({ error: error.message }, () => process.exit(1));
  else process.exit(1);
});
child.on('spawn', () => {
  if (process.connected) process.send({ pid: child.pid });
});
child.on('exit', (code) => {
  // What the program itself started and left behind.
  signalGroup('SIGKILL');
  process.exit(code ?? 1);
});

function signalGroup(signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is empty already.
  }
}

let stopping = false;
function stop(patience) {
  if (patience === 0) {
    signalGroup('SIGKILL');
    return;
  }
  if (stopping) return;
  stopping = true;
  // To the program alone: it knows how to end what it started.
  child.kill(stopSignal);
  setTimeout(() => signalGroup('SIGKILL'), patience);
}

process.on('message', (message) => stop(message.stop));
process.on('disconnect', () => stop(ORPHAN_PATIENCE));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(ORPHAN_PATIENCE));
