import { PassThrough, Writable } from "node:stream";
import { type MessageSocket, written } from "./message-socket.ts";
import {
  type Outcome,
  outcomeStatus,
  outcomeText,
  type RemoteClient,
  type RemoteCommandOptions,
} from "./remote-command.ts";

/** Subprotocols for exec and attach, best first. "" is a client that names none. */
export const remoteCommandSubprotocols = [
  "v5.channel.k8s.io",
  "v4.channel.k8s.io",
  "v4.base64.channel.k8s.io",
  "channel.k8s.io",
  "base64.channel.k8s.io",
] as const;

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** Exec and attach over a WebSocket: one byte of channel number, then data; in base64 protocols a digit, then base64. */
export function webSocketClient(socket: MessageSocket, options: RemoteCommandOptions): RemoteClient {
  const protocol = socket.protocol;
  const isBase64 = protocol.includes("base64.");
  const hasStatus = protocol.startsWith("v4.") || protocol.startsWith("v5.");
  const stdin = options.stdin ? new PassThrough() : undefined;
  let onResize: ((columns: number, rows: number) => void) | undefined;
  /** Clients tell the size at once; the process of an exec may take its time to begin. */
  let early: readonly [columns: number, rows: number] | undefined;
  const resized = (columns: number, rows: number): void => {
    if (onResize) onResize(columns, rows);
    else early = [columns, rows];
  };

  const send = (number: number, data: Uint8Array, done?: () => void): void => {
    if (isBase64) socket.send(`${number}${Buffer.from(data).toString("base64")}`, done);
    else socket.send(Buffer.concat([Buffer.from([number]), data]), done);
  };
  const output = (number: number): Writable =>
    new Writable({
      write: (chunk: Buffer, _encoding, done) => (chunk.length === 0 ? done() : send(number, chunk, () => done())),
    });

  socket.onMessage((message) => {
    const { number, data } = isBase64 ? decodeBase64(message.toString()) : decodeBinary(message);
    if (number === channel.stdin && stdin) return written(stdin, data);
    if (number === channel.resize) applyResize(data, resized);
    else if (number === channel.close && data[0] === channel.stdin) stdin?.end();
    return undefined;
  });
  void socket.closed.then(() => stdin?.end());

  // Clients take a first, empty message for the sign that the session stands.
  const first = options.stdout ? channel.stdout : options.stderr ? channel.stderr : channel.error;
  send(first, Buffer.alloc(0));
  return {
    stdin,
    stdout: options.stdout ? output(channel.stdout) : undefined,
    stderr: options.stderr ? output(channel.stderr) : undefined,
    onResize(handler) {
      onResize = handler;
      if (early) handler(...early);
      early = undefined;
    },
    async finish(outcome: Outcome) {
      const text = hasStatus ? JSON.stringify(outcomeStatus(outcome)) : outcomeText(outcome);
      if (text !== undefined) send(channel.error, Buffer.from(text));
      socket.close();
      await socket.closed;
    },
    gone: socket.closed,
  };
}

/** `{"Width":80,"Height":24}`; one message may hold several. */
export function applyResize(data: Buffer, onResize: (columns: number, rows: number) => void): void {
  for (const match of data.toString().matchAll(/\{[^{}]*\}/g)) {
    try {
      const size = JSON.parse(match[0]) as { Width?: unknown; Height?: unknown };
      if (Number.isInteger(size.Width) && Number.isInteger(size.Height))
        onResize(size.Width as number, size.Height as number);
    } catch {
      // Not a size: upstream ends its listening on it; a terminal of the wrong size is all that can come of it.
    }
  }
}

function decodeBinary(message: Buffer | string): { number: number; data: Buffer } {
  const buffer = Buffer.from(message as Buffer);
  return { number: buffer[0] ?? -1, data: buffer.subarray(1) };
}

function decodeBase64(message: string): { number: number; data: Buffer } {
  return { number: message.charCodeAt(0) - 48, data: Buffer.from(message.slice(1), "base64") };
}
