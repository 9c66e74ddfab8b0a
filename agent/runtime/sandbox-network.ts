import type { PodIdentity, PortMapping } from "./runtime.ts";

/** One sandbox that wants a network. */
export interface SandboxAttachment {
  readonly sandboxId: string;
  /** Path of the network namespace, `/proc/PID/ns/net`. */
  readonly namespacePath: string;
  readonly pod: PodIdentity;
  readonly portMappings: readonly PortMapping[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly dns?:
    | { readonly servers: readonly string[]; readonly searches: readonly string[]; readonly options: readonly string[] }
    | undefined;
}

/** What a runtime needs of the pod network (agent/network): wires sandboxes into it. What is attached survives a restart of the
 *  agent, not one of the board. */
export interface SandboxNetwork {
  /** Resolves with the pod's addresses, IPv4 first. Leaves nothing behind when it rejects (NetworkError). */
  attach(request: SandboxAttachment): Promise<readonly string[]>;
  /** Idempotent, also for a sandbox whose namespace is gone or that was never attached. */
  detach(sandboxId: string): Promise<void>;
  /** undefined: not attached. */
  addresses(sandboxId: string): readonly string[] | undefined;
  attached(): string[];
  /** Why pods cannot be wired now, for the node's NetworkReady condition; undefined when they can. */
  notReadyReason(): Promise<string | undefined>;
}

export class NetworkError extends Error {
  override readonly name = "NetworkError";
}
