import type { Duplex, Readable } from "node:stream";
import { GrpcCode } from "#shared/grpc/grpc-error.ts";
import type { Host } from "../../host/host.ts";
import type { KeptDetails } from "../kept-details.ts";
import { portForwardFault } from "../port-forward-fault.ts";
import {
  type AttachOptions,
  type ExecOptions,
  type ExecResult,
  type ExecSession,
  type LogOptions,
  RuntimeError,
} from "../runtime.ts";
import { type CriClient, codeOf, longCall_ms, patience_ms } from "./client.ts";
import { type ContainerDetails, required, type SandboxDetails } from "./details.ts";
import { killExec, type WantedExec } from "./exec.ts";
import { readLogFile } from "./log-file.ts";
import * as wire from "./messages.ts";
import { type Dial, openStreams } from "./streaming.ts";

const defaultExecOutput_bytes = 10 * 1024;
const portForwardConnect_ms = 10_000;

/** What goes in and out of containers and sandboxes, as ContainerRuntime has it. */
export class CriStreams {
  readonly #client: CriClient;
  readonly #containers: KeptDetails<ContainerDetails>;
  readonly #sandboxes: KeptDetails<SandboxDetails>;
  readonly #host: Host;
  readonly #dial: Dial | undefined;

  constructor(
    client: CriClient,
    containers: KeptDetails<ContainerDetails>,
    sandboxes: KeptDetails<SandboxDetails>,
    { host, dial }: { readonly host: Host; readonly dial?: Dial | undefined },
  ) {
    this.#client = client;
    this.#containers = containers;
    this.#sandboxes = sandboxes;
    this.#host = host;
    this.#dial = dial;
  }

  async execSync(
    id: string,
    command: readonly string[],
    timeout_ms: number,
    maxOutput_bytes = defaultExecOutput_bytes,
  ): Promise<ExecResult> {
    const begun_ms = performance.now();
    const wanted = { command, age_ms: () => performance.now() - begun_ms };
    const ended = new AbortController();
    let timedOut = false;
    const timer =
      timeout_ms > 0
        ? setTimeout(() => {
            timedOut = true;
            // Whether it was found or not: the runtime's own limit ends what is left.
            this.#killExec(id, wanted, ended.signal).catch(() => undefined);
          }, timeout_ms)
        : undefined;
    // CRI counts in seconds, and ends the first process alone; that is for what was not found.
    const timeout = timeout_ms > 0 ? Math.ceil((timeout_ms + 2_000) / 1000) : 0;
    const limit_ms = timeout_ms > 0 ? timeout_ms + patience_ms : longCall_ms;
    try {
      const types = [wire.ExecSyncRequest, wire.ExecSyncResponse] as const;
      const call = { what: `exec in container ${id}`, timeout_ms: limit_ms };
      const { stdout, stderr, exitCode } = await this.#client.runtime(
        "ExecSync",
        types,
        { id, command, timeout },
        call,
      );
      const text = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(0, maxOutput_bytes)).toString("utf8");
      return { exitCode, stdout: text(stdout), stderr: text(stderr), timedOut };
    } catch (error) {
      const isLate = timedOut || codeOf(error) === GrpcCode.DeadlineExceeded;
      if (!isLate || codeOf(error) === GrpcCode.NotFound) throw error;
      return { exitCode: 137, stdout: "", stderr: "", timedOut: true };
    } finally {
      clearTimeout(timer);
      ended.abort();
    }
  }

  async exec(id: string, options: ExecOptions): Promise<ExecSession> {
    const { stdin, stdout, tty } = options;
    const streams = { stdin, stdout, stderr: options.stderr && !tty, tty };
    const given = { id, command: options.command, ...streams };
    const call = { what: `exec in container ${id}` };
    const { url } = await this.#client.runtime("Exec", [wire.ExecRequest, wire.UrlResponse], given, call);
    return await openStreams(url, streams, this.#dial);
  }

  async attach(id: string, options: AttachOptions): Promise<ExecSession> {
    const tty = (await this.#containers.fresh(id))?.hasTerminal ?? false;
    const streams = { ...options, stderr: options.stderr && !tty, tty };
    const call = { what: `attach to container ${id}` };
    const { url } = await this.#client.runtime(
      "Attach",
      [wire.AttachRequest, wire.UrlResponse],
      { id, ...streams },
      call,
    );
    return await openStreams(url, { ...streams, isAttachment: true }, this.#dial);
  }

  async logs(id: string, options: LogOptions): Promise<Readable> {
    const { logPath } = (await required(this.#containers, "container", id)).status;
    try {
      return await readLogFile(logPath, options, async () => {
        const state = (await this.#containers.fresh(id))?.status.state;
        return state === wire.containerState.running || state === wire.containerState.created;
      });
    } catch (error) {
      throw new RuntimeError("other", `logs of container ${id}: ${(error as Error).message}`, { cause: error });
    }
  }

  async portForward(sandboxId: string, port: number): Promise<Duplex> {
    const { status, pid } = await required(this.#sandboxes, "sandbox", sandboxId);
    if (status.state !== wire.sandboxReady || pid === 0) {
      throw new RuntimeError("not-found", `sandbox ${sandboxId} is not running`);
    }
    try {
      return await this.#host.connectInNetworkNamespace(`/proc/${pid}/ns/net`, port, portForwardConnect_ms);
    } catch (error) {
      throw portForwardFault(sandboxId, port, error as Error);
    }
  }

  async #killExec(id: string, wanted: WantedExec, signal: AbortSignal): Promise<void> {
    const { pid = 0 } = (await this.#containers.known(id)) ?? {};
    if (pid > 0) await killExec(pid, wanted, signal);
  }
}
