import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { badRequest, StatusError } from "#shared/api/errors.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { BoardUsageSample } from "#shared/board/usage-sample.ts";
import type { Log } from "#shared/client/log.ts";
import { pageUrl } from "#shared/http/component-pages.ts";
import { MAX_HEADERS_BYTES } from "#shared/http/header-limit.ts";
import { healthPage } from "#shared/http/health-page.ts";
import { healthResultsPath } from "#shared/http/health-results.ts";
import { prometheusContentType } from "#shared/metrics/exposition-format.ts";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import type { ContainerRuntime } from "../../runtime/runtime.ts";
import type { ServerTuning } from "../kubelet-tuning.ts";
import { kubeletChecks, kubeletHealth } from "./kubelet-health.ts";
import { isSet, logOptions } from "./log-options.ts";
import { acceptWebSocket, isWebSocket, offeredProtocols } from "./message-socket.ts";
import {
  type Dial,
  portForwardProtocol,
  portForwardSubprotocols,
  serveSpdyPortForward,
  serveWebSocketPortForward,
  tunneledSpdyProtocol,
  webSocketBytes,
} from "./port-forward.ts";
import { bridge, type RemoteClient, type RemoteCommandOptions } from "./remote-command.ts";
import { spdyClient, spdyRemoteProtocols } from "./remote-spdy.ts";
import { remoteCommandSubprotocols, webSocketClient } from "./remote-websocket.ts";
import { containerIn, misrouted, type Route, routeOf } from "./routes.ts";
import { serveSystemLogs } from "./system-logs.ts";

/** What the server needs of the kubelet. Look-ups of a pod's parts throw StatusError with what `kubectl` shows. */
export interface ServedBoard {
  readonly runtime: ContainerRuntime;
  readonly tuning: ServerTuning;
  /** The board's /var/log; undefined: it is not shown. */
  readonly logFolder: string | undefined;
  pods(): readonly Pod[];
  /** What runs by the runtime's word, whether or not it should. */
  runningPods(): Promise<readonly Pod[]>;
  /** Runs a command to its end. Gives what it said. Rejects when it fails. */
  run(pod: PodName, container: string, command: readonly string[]): Promise<Buffer>;
  /** Writes a container's state into an archive. Gives the archive's path. */
  checkpoint(pod: PodName, container: string, timeout_s: number): Promise<string>;
  /** The runtime's id of the container whose log is shown; with `previous` of the one that ended last. */
  loggedContainer(pod: PodName, container: string, options: { readonly previous: boolean }): string;
  /** The runtime's id of the container that runs. */
  runningContainer(pod: PodName, container: string): Promise<string>;
  /** As `runningContainer`, or of one that has ended: the runtime knows whether there is something to attach to yet. */
  attachableContainer(pod: PodName, container: string): Promise<string>;
  sandboxId(pod: PodName): Promise<string>;
  /** KubeletConfiguration, as far as it says how this kubelet runs. */
  configuration(): Readonly<Record<string, unknown>>;
  /** The kubelet's stats.Summary. */
  summary(what: "all" | "CPU and memory"): Promise<object>;
  /** What the board used lately, oldest first. */
  history(): readonly BoardUsageSample[];
  /** Prometheus text by path: /metrics, /metrics/cadvisor, /metrics/resource, /metrics/probes, /metrics/board. */
  metrics(path: string): Promise<string | undefined>;
}

export interface PodName {
  readonly namespace: string;
  readonly name: string;
  /** Another pod of that name does not count. */
  readonly uid?: string | undefined;
}

/**
 * Throws StatusError (401 or 403) for who may not make this request.
 * @param path by which the request is served: as it was written it may lead elsewhere (`/metrics/../pods`).
 */
export type Gate = (request: IncomingMessage, path: string) => Promise<void>;

/**
 * The kubelet's HTTP interface: logs, exec, attach, port-forward, pods, statistics. Two doors lead to it: the tunnel from
 * the API server (a socket only root can open) and TLS on the kubelet's port; each brings its own gate.
 */
export class KubeletServer {
  constructor(
    private readonly board: ServedBoard,
    private readonly log: Log,
  ) {}

  /** A server for one door, not yet listening. */
  door(gate: Gate): Server {
    const server = createServer({ maxHeaderSize: MAX_HEADERS_BYTES }, (request, response) => {
      this.serve(gate, request, response).catch((error: unknown) => this.refuse(response, error));
    });
    server.on("upgrade", (request, socket: Duplex, head: Buffer) => {
      this.upgrade(gate, request, socket, head).catch((error: unknown) => refuseUpgrade(socket, error));
    });
    return server;
  }

  private async serve(gate: Gate, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = pageUrl(request);
    await gate(request, url.pathname);
    const route = routeOf(url.pathname);
    const { root, rest } = route;
    if (this.isShut(route)) {
      response.writeHead(405).end("Debug endpoints are disabled.\n");
      return;
    }
    const wrong = misrouted(route, request.method ?? "GET");
    if (wrong) {
      response.writeHead(wrong.code, { "content-type": "text/plain; charset=utf-8", ...wrong.headers }).end(wrong.text);
      return;
    }
    switch (root) {
      case "healthz":
        await this.serveHealth(rest, url.searchParams, response);
        return;
      case "configz":
        sendJson(response, { kubeletconfig: this.board.configuration() });
        return;
      case "pods":
        sendJson(response, podList(this.board.pods()));
        return;
      case "runningpods":
        sendJson(response, podList(await this.board.runningPods()));
        return;
      case "run":
        await this.run(rest, url.searchParams, response);
        return;
      case "checkpoint":
        await this.checkpoint(rest, url.searchParams, response);
        return;
      case "stats":
        if (rest[0] === "history") sendJson(response, this.board.history());
        else if (rest[0] === "summary") {
          const isShort = url.searchParams.get("only_cpu_and_memory") === "true";
          sendJson(response, await this.board.summary(isShort ? "CPU and memory" : "all"));
        } else response.writeHead(404).end("404: Page Not Found");
        return;
      case "metrics":
        await this.serveMetrics(url.pathname, request.headers.accept, response);
        return;
      case "containerLogs":
        await this.serveLogs(rest, url.searchParams, response);
        return;
      case "logs":
        if (!this.board.tuning.hasSystemLogs) {
          response.writeHead(405).end("logs endpoint is disabled.\n");
          return;
        }
        if (this.board.logFolder === undefined) response.writeHead(404).end("404 page not found\n");
        else
          await serveSystemLogs(this.board.logFolder, decodeURIComponent(url.pathname).slice("/logs".length), response);
        return;
      case "images":
        await this.loadImages(rest, request, response);
        return;
      case "exec":
      case "attach":
      case "portForward":
        throw badRequest("Upgrade request required");
      default:
        response.writeHead(404).end("404 page not found\n");
    }
  }

  private isShut({ root }: Route): boolean {
    return !this.board.tuning.hasDebuggingHandlers && debugging.has(root);
  }

  /** `POST /images/load` with an archive as `docker save` makes it; answers with the names in it. */
  private async loadImages(
    segments: readonly string[],
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    if (segments[0] !== "load" || request.method !== "POST") throw badRequest("POST an image archive to /images/load");
    const names = await this.board.runtime.loadImage(request);
    response.writeHead(200, { "content-type": "text/plain" }).end(`${names.join("\n")}\n`);
  }

  /** The command's words apart by spaces, as this path has it. */
  private async run(segments: readonly string[], query: URLSearchParams, response: ServerResponse): Promise<void> {
    const { pod, container } = containerIn(segments);
    const output = await this.board.run(pod, container, (query.get("cmd") ?? "").split(" "));
    response.writeHead(200, { "content-type": "application/json" }).end(output);
  }

  private async checkpoint(
    segments: readonly string[],
    query: URLSearchParams,
    response: ServerResponse,
  ): Promise<void> {
    const { pod, container } = containerIn(segments);
    const timeout = query.getAll("timeout").at(-1) ?? "0";
    if (!/^[+-]?\d+$/.test(timeout)) throw new StatusError("NotFound", "cannot parse value of timeout parameter");
    sendJson(response, { items: [await this.board.checkpoint(pod, container, Number(timeout))] });
  }

  private async serveHealth(
    segments: readonly string[],
    query: URLSearchParams,
    response: ServerResponse,
  ): Promise<void> {
    const only = segments.length > 0 ? segments.join("/") : undefined;
    const asked = { only, excluded: new Set(query.getAll("exclude")), verbose: query.has("verbose") };
    const { code, body } = await healthPage("healthz", kubeletChecks(this.board.runtime), asked, kubeletHealth);
    response.writeHead(code, { "content-type": "text/plain; charset=utf-8" }).end(body);
  }

  private async serveMetrics(path: string, accept: string | undefined, response: ServerResponse): Promise<void> {
    const isHealth = path === healthResultsPath;
    const text = isHealth ? renderPrometheus(kubeletHealth.families()) : await this.board.metrics(path);
    if (text === undefined) response.writeHead(404).end("404 page not found\n");
    else response.writeHead(200, { "content-type": prometheusContentType(accept) }).end(text);
  }

  private async serveLogs(
    segments: readonly string[],
    query: URLSearchParams,
    response: ServerResponse,
  ): Promise<void> {
    const { pod, container } = containerIn(segments);
    const options = logOptions(query);
    const id = this.board.loggedContainer(pod, container, { previous: isSet(query, "previous") });
    const stream = await this.board.runtime.logs(id, options);
    response.writeHead(200, { "content-type": "text/plain" });
    response.flushHeaders();
    response.on("close", () => stream.destroy());
    stream.on("error", (error) => {
      this.log.info("a log ended early", { pod: `${pod.namespace}/${pod.name}`, container, error });
      response.end();
    });
    stream.pipe(response);
  }

  private async upgrade(gate: Gate, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = pageUrl(request);
    await gate(request, url.pathname);
    const route = routeOf(url.pathname);
    const { root, rest } = route;
    if (this.isShut(route)) throw new StatusError("MethodNotAllowed", "Debug endpoints are disabled.");
    const wrong = misrouted(route, request.method ?? "GET");
    if (wrong) throw new StatusError(wrong.code === 404 ? "NotFound" : "MethodNotAllowed", wrong.text);
    const { pod, container } = containerIn(rest);
    endWhenIdle(socket, this.board.tuning.streamIdle_ms);
    if (root === "portForward") {
      const [namespace = "", name = "", uid] = rest;
      await this.portForward({ namespace, name, uid }, url.searchParams, request, socket, head);
    } else if (root === "exec" || root === "attach") {
      const options = commandOptions(url.searchParams);
      const { runtime } = this.board;
      const command = url.searchParams.getAll("command");
      const isExec = root === "exec";
      const find = (): Promise<string> =>
        isExec ? this.board.runningContainer(pod, container) : this.board.attachableContainer(pod, container);
      // As upstream: a WebSocket is open before the kubelet is asked, and is told what it says; SPDY is not upgraded then.
      const found = isWebSocket(request) ? undefined : await find();
      const client = await this.remoteClient(options, request, socket, head);
      await bridge(client, async () => {
        const id = found ?? (await find());
        return isExec ? await runtime.exec(id, { ...options, command }) : await runtime.attach(id, options);
      });
    } else {
      throw badRequest(`${url.pathname} cannot be upgraded`);
    }
  }

  private async remoteClient(
    options: RemoteCommandOptions,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<RemoteClient> {
    if (isWebSocket(request)) {
      return webSocketClient(acceptWebSocket(request, socket, head, remoteCommandSubprotocols), options);
    }
    const protocol = acceptSpdy(request, socket, spdyRemoteProtocols);
    return spdyClient(socket, protocol, options);
  }

  private async portForward(
    pod: PodName,
    query: URLSearchParams,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<void> {
    const sandbox = await this.board.sandboxId(pod);
    const dial: Dial = (port) => this.board.runtime.portForward(sandbox, port);
    const describe = (): string => `pod ${pod.name}_${pod.namespace}`;
    if (!isWebSocket(request)) {
      acceptSpdy(request, socket, [portForwardProtocol]);
      await serveSpdyPortForward(socket, dial, describe);
      return;
    }
    const isTunneled = offeredProtocols(request).includes(tunneledSpdyProtocol);
    const ports = isTunneled ? [] : portsOf(query);
    const webSocket = acceptWebSocket(request, socket, head, portForwardSubprotocols);
    if (isTunneled) await serveSpdyPortForward(webSocketBytes(webSocket), dial, describe);
    else await serveWebSocketPortForward(webSocket, ports, dial, describe);
  }

  private refuse(response: ServerResponse, error: unknown): void {
    const status = asStatus(error);
    if (status.code >= 500) this.log.warn("a request failed", { error });
    if (response.headersSent) response.destroy();
    else response.writeHead(status.code, { "content-type": "text/plain; charset=utf-8" }).end(status.message);
  }
}

/** What upstream's enableDebuggingHandlers is about. */
const debugging: ReadonlySet<string> = new Set([
  "run",
  "exec",
  "attach",
  "portForward",
  "containerLogs",
  "logs",
  "runningpods",
]);

function asStatus(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  return new StatusError("InternalError", (error as Error).message, { cause: error });
}

/** Ends a stream on which nothing has come or gone for so long. */
function endWhenIdle(socket: Duplex, idle_ms: number): void {
  if (idle_ms > 0 && socket instanceof Socket) socket.setTimeout(idle_ms, () => socket.destroy());
}

function refuseUpgrade(socket: Duplex, error: unknown): void {
  if (socket.destroyed) return;
  const status = asStatus(error);
  const body = JSON.stringify(status.toStatus());
  socket.end(
    `HTTP/1.1 ${status.code} ${status.reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

/** Answers 101 with the first protocol of ours that the client offers. Clients that offer none get the oldest. */
function acceptSpdy(request: IncomingMessage, socket: Duplex, supported: readonly string[]): string {
  if ((request.headers.upgrade ?? "").toLowerCase() !== "spdy/3.1") throw badRequest("Upgrade request required");
  const offered = [request.headers["x-stream-protocol-version"] ?? []]
    .flat()
    .flatMap((value) => value.split(",").map((part) => part.trim()));
  const chosen = offered.length === 0 ? supported.at(-1) : supported.find((protocol) => offered.includes(protocol));
  if (chosen === undefined) {
    throw new StatusError(
      "Forbidden",
      `unable to negotiate protocol: client supports ${offered.join(", ")}, server supports ${supported.join(", ")}`,
    );
  }
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${chosen}\r\n\r\n`,
  );
  return chosen;
}

/** The kubelet's parameters: input, output, error, tty, each `1` where wanted. A terminal has no stderr of its own. */
function commandOptions(query: URLSearchParams): RemoteCommandOptions {
  const wants = (name: string): boolean => query.get(name) === "1" || query.get(name) === "true";
  const tty = wants("tty");
  const options = { stdin: wants("input"), stdout: wants("output"), stderr: wants("error") && !tty, tty };
  if (!options.stdin && !options.stdout && !options.stderr)
    throw badRequest("you must specify at least 1 of stdin, stdout, stderr");
  return options;
}

function portsOf(query: URLSearchParams): number[] {
  const texts = query.getAll("port").flatMap((text) => text.split(","));
  if (texts.length === 0) throw badRequest('query parameter "port" is required');
  return texts.map((text) => {
    const port = Number(text);
    if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw badRequest(`unable to parse "${text}" as a port`);
    return port;
  });
}

const podList = (items: readonly Pod[]): object => ({ kind: "PodList", apiVersion: "v1", metadata: {}, items });

function sendJson(response: ServerResponse, value: object): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}
