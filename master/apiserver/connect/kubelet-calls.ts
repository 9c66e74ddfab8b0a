/** Kubelets that keep no tunnel to this API server, such as upstream's: called at their Nodes' addresses, as upstream does. */
import { connect, isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { notFound, serviceUnavailable } from "#shared/api/errors.ts";
import { nodes } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import { connectionFault } from "#shared/http/connection-fault.ts";
import { hostPort } from "#shared/http/host-port.ts";
import type { TunnelTarget } from "#shared/tunnel/tunnel.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { Dialer } from "./board-dialer.ts";

export interface KubeletCallsOptions {
  readonly reader: () => Pick<ResourceReader, "get">;
  /** What is shown to kubelets, PEM; as it is at the moment. */
  readonly credentials: () => { readonly cert: string; readonly key: string };
  /** By whom kubelets must have their certificates, PEM; undefined: they are not looked at. */
  readonly authorities: (() => string) | undefined;
  /** Types of a Node's addresses, the preferred one first. */
  readonly addressTypes: readonly string[];
}

/** Upstream's --kubelet-timeout. */
const CONNECT_WITHIN_MS = 5_000;
const USUAL_PORT = 10_250;

export class KubeletCalls implements Pick<Dialer, "dial"> {
  constructor(private readonly options: KubeletCallsOptions) {}

  dial(node: string, target: TunnelTarget, signal?: AbortSignal): Promise<Duplex> {
    if (target.kind === "tcp")
      return this.#opened(() => connect(target), "connect", hostPort(target.host, target.port), signal);
    const found = this.options.reader().get(nodes, { name: node });
    if (!found) throw notFound(nodes, node);
    const host = addressOf(found, this.options.addressTypes);
    const port = found.status?.daemonEndpoints?.kubeletEndpoint?.Port || USUAL_PORT;
    const { credentials } = this.options;
    const authorities = target.unverified ? undefined : this.options.authorities;
    const secured = () =>
      connectTls({
        host,
        port,
        ...credentials(),
        ...(authorities ? { ca: authorities() } : {}),
        rejectUnauthorized: authorities !== undefined,
        ...(isIP(host) === 0 ? { servername: host } : {}),
      });
    return this.#opened(secured, "secureConnect", hostPort(host, port), signal);
  }

  #opened(open: () => Duplex, event: string, at: string, signal?: AbortSignal): Promise<Duplex> {
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
    signal?.throwIfAborted();
    const stream = open();
    const late = setTimeout(() => stream.destroy(new Error(`dial tcp ${at}: i/o timeout`)), CONNECT_WITHIN_MS);
    const onAbort = (): void => void stream.destroy(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    stream.once("error", (error) => reject(serviceUnavailable(connectionFault(error, at))));
    stream.once("close", () => reject(serviceUnavailable(`${at} closed the connection`)));
    stream.once(event, () => resolve(stream));
    return promise.finally(() => {
      clearTimeout(late);
      signal?.removeEventListener("abort", onAbort);
    });
  }
}

/** Throws ServiceUnavailable, worded as upstream. */
function addressOf({ metadata, status }: Node, types: readonly string[]): string {
  for (const type of types) {
    const found = status?.addresses?.find((address) => address.type === type && address.address !== "");
    if (found) return found.address;
  }
  throw serviceUnavailable(
    `no preferred addresses found; known addresses: [${(status?.addresses ?? []).map(({ type, address }) => `{${type} ${address}}`).join(" ")}] of node ${metadata.name}`,
  );
}
