import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { badRequest, StatusError } from "#shared/api/errors.ts";
import type { ApiResponse, WatchFrame } from "../request.ts";
import { errorFrame, frameLine } from "./render.ts";
import { Untaken } from "./sink.ts";

/** A client's request to change protocols, not answered yet. */
export interface UpgradeRequest {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

type Bytes = Extract<ApiResponse, { kind: "bytes" }>["body"];

const base64Protocol = "base64.binary.k8s.io";
/** Subprotocols in which plain bytes are sent; a client that asks for none gets them binary. */
const byteProtocols = ["binary.k8s.io", base64Protocol];

/** A message is gathered before it is ignored, so no long one is taken. */
const LONGEST_IGNORED_BYTES = 4 * 1024;
const options = { noServer: true, perMessageDeflate: false, maxPayload: LONGEST_IGNORED_BYTES };
const servers = {
  watch: new WebSocketServer(options),
  bytes: new WebSocketServer({ ...options, handleProtocols: chooseByteProtocol }),
};

/**
 * Answers by WebSocket what else is a stream of HTTP: a watch as a frame a message, bytes (a container's log) as
 * messages that the client puts together. Whatever the client sends is ignored.
 * @throws StatusError for answers that are no streams, and for subprotocols that nobody knows.
 */
export function answerByWebSocket(
  upgrade: UpgradeRequest,
  answer: ApiResponse,
  onError: (error: unknown) => void,
): void {
  if (answer.kind === "watch") {
    accept(servers.watch, upgrade, (peer) => sendFrames(peer, answer.frames), onError);
  } else if (answer.kind === "bytes" && answer.code < 300 && isWebSocket(upgrade.request)) {
    const offered = offeredProtocols(upgrade.request);
    if (offered.size > 0 && !chooseByteProtocol(offered))
      throw badRequest(`requested protocol(s) are not supported: ${[...offered].join(" ")}`);
    accept(servers.bytes, upgrade, (peer) => sendBytes(peer, answer.body), onError);
  } else {
    throw notByUpgrade(answer);
  }
}

function accept(
  server: WebSocketServer,
  { request, socket, head }: UpgradeRequest,
  serve: (peer: WebSocket) => Promise<void>,
  onError: (error: unknown) => void,
): void {
  server.handleUpgrade(request, socket, head, (peer) => {
    // Of a client that breaks the protocol: it is told so by the closing that comes with it, and what is served ends with the socket.
    peer.on("error", () => undefined);
    serve(peer).catch((error: unknown) => {
      // Whoever asked has gone, and what the answer came from was let go for that.
      if (peer.readyState !== peer.OPEN) return;
      onError(error);
      peer.close(1011);
    });
  });
}

async function sendFrames(peer: WebSocket, frames: AsyncIterable<WatchFrame>): Promise<void> {
  try {
    for await (const frame of frames) {
      if (peer.readyState !== peer.OPEN) return;
      await send(peer, frameLine(frame));
    }
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    await send(peer, frameLine(errorFrame(error.toStatus())));
  }
  peer.close(1000);
}

/** An empty message first: the client sees at once that the stream stands. */
async function sendBytes(peer: WebSocket, body: Bytes): Promise<void> {
  const sent = (bytes: Buffer): Buffer | string =>
    peer.protocol === base64Protocol ? bytes.toString("base64") : bytes;
  await send(peer, sent(Buffer.alloc(0)));
  const chunks = typeof body === "string" || body instanceof Uint8Array ? [Buffer.from(body)] : body;
  for await (const chunk of chunks) {
    if (peer.readyState !== peer.OPEN) return;
    await send(peer, sent(Buffer.from(chunk)));
  }
  peer.close(1000);
}

/** Resolves when the client takes it, or is gone. */
function send(peer: WebSocket, message: Buffer | string): Promise<void> {
  return new Promise((resolve, reject) => {
    const untaken = new Untaken(message.length);
    const client = { destroy: () => peer.terminate() };
    let isOver = false;
    const over = (error?: Error): void => {
      isOver = true;
      untaken.taken(client);
      peer.off("close", gone);
      if (error) reject(error);
      else resolve();
    };
    const gone = (): void => over();
    peer.once("close", gone);
    peer.send(message, (error) => over(error ?? undefined));
    if (!isOver) untaken.waits(client);
  });
}

function chooseByteProtocol(offered: ReadonlySet<string>): string | false {
  return [...offered].find((protocol) => byteProtocols.includes(protocol)) ?? false;
}

function offeredProtocols(request: IncomingMessage): Set<string> {
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((each) => each.trim());
  return new Set(offered.filter((protocol) => protocol !== ""));
}

const isWebSocket = (request: IncomingMessage): boolean =>
  (request.headers.upgrade ?? "").toLowerCase() === "websocket";

/** What was asked for cannot be spoken over an upgraded connection. */
function notByUpgrade(answer: ApiResponse): StatusError {
  if (answer.kind === "object" && answer.code >= 400) {
    return new StatusError("BadRequest", answer.text(), { code: answer.code });
  }
  return badRequest("Upgrade request required only for exec, attach, port-forward and proxy");
}
