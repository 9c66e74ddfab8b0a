import { connect } from "node:net";
import type { ContainerRuntime } from "#agent/runtime/runtime.ts";
import type { Container, Probe } from "#shared/api/types/core-v1.generated.ts";
import { hostPort } from "#shared/http/host-port.ts";
import { expand } from "../container/expansion.ts";
import { timerOf_ms } from "../spec-time.ts";
import { checkGrpcHealth } from "./grpc-health.ts";
import { describe, httpGet, httpGetTarget } from "./http-get.ts";
import { resolvePort } from "./probe-port.ts";

export interface ProbeOutcome {
  /** `warning` counts as success and is told. */
  readonly result: "success" | "warning" | "failure";
  readonly output: string;
}

export interface ProbeTarget {
  readonly runtime: ContainerRuntime;
  readonly container: Container;
  readonly containerId: string;
  readonly podIP: string;
}

/** One probe. Rejects when it could not be made at all, which says nothing of the container. */
export async function runProbe(probe: Probe, target: ProbeTarget): Promise<ProbeOutcome> {
  const timeout_ms = timerOf_ms(probe.timeoutSeconds, 1);
  if (probe.exec) return execProbe(probe.exec.command ?? [], target, timeout_ms);
  if (probe.httpGet) {
    return httpProbe(httpGetTarget(probe.httpGet, target.container, target.podIP, "probe"), timeout_ms);
  }
  if (probe.tcpSocket) {
    const port = resolvePort(probe.tcpSocket.port, target.container);
    return tcpProbe(probe.tcpSocket.host || target.podIP, port, timeout_ms);
  }
  if (probe.grpc) return checkGrpcHealth(target.podIP, probe.grpc.port, probe.grpc.service ?? "", timeout_ms);
  throw new Error(`missing probe handler for ${target.container.name}`);
}

async function execProbe(command: readonly string[], target: ProbeTarget, timeout_ms: number): Promise<ProbeOutcome> {
  // Only values that stand in the spec: the environment itself is not kept.
  const values = new Map((target.container.env ?? []).map(({ name, value = "" }) => [name, value]));
  const expanded = command.map((word) => expand(word, (name) => values.get(name)));
  const { exitCode, stdout, stderr, timedOut } = await target.runtime.execSync(
    target.containerId,
    expanded,
    timeout_ms,
  );
  if (timedOut) {
    const output = `command timed out: "${expanded.join(" ")}" timed out after ${timeout_ms / 1000}s`;
    return { result: "failure", output };
  }
  return { result: exitCode === 0 ? "success" : "failure", output: stdout + stderr };
}

async function httpProbe(target: Parameters<typeof httpGet>[0], timeout_ms: number): Promise<ProbeOutcome> {
  try {
    const { status, body } = await httpGet(target, timeout_ms);
    if (status >= 200 && status < 300) return { result: "success", output: body };
    if (status >= 300 && status < 400) {
      return { result: "warning", output: `Probe terminated redirects, Response body: ${body}` };
    }
    return { result: "failure", output: `HTTP probe failed with statuscode: ${status}` };
  } catch (error) {
    return { result: "failure", output: (error as Error).message };
  }
}

function tcpProbe(host: string, port: number, timeout_ms: number): Promise<ProbeOutcome> {
  const { promise, resolve } = Promise.withResolvers<ProbeOutcome>();
  const socket = connect({ host, port });
  const end = (outcome: ProbeOutcome): void => {
    clearTimeout(timer);
    socket.destroy();
    resolve(outcome);
  };
  const timer = setTimeout(
    () => end({ result: "failure", output: `dial tcp ${hostPort(host, port)}: i/o timeout` }),
    timeout_ms,
  );
  socket.once("connect", () => end({ result: "success", output: "" }));
  socket.once("error", (error) => end({ result: "failure", output: describe(error, hostPort(host, port)) }));
  return promise;
}
