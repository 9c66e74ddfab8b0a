import { setTimeout as delay } from "node:timers/promises";
import { formatGoDuration_ms } from "#shared/api/go-duration.ts";
import { GrpcChannel } from "#shared/grpc/channel.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import { integer, message, string } from "#shared/grpc/message.ts";
import { hostPort } from "#shared/http/host-port.ts";
import type { ProbeOutcome } from "./run-probe.ts";

const HealthCheckRequest = message({ service: string(1) });
const HealthCheckResponse = message({ status: integer(1) });

const servingStatus: Readonly<Record<number, string>> = {
  0: "UNKNOWN",
  1: "SERVING",
  2: "NOT_SERVING",
  3: "SERVICE_UNKNOWN",
};
/** What the server may send beside the status is of no use here. */
const longestMessage_bytes = 64 * 1024;

/** gRPC's pauses between attempts to connect (its connection-backoff.md, without jitter). */
const firstReconnect_ms = 1_000;
const reconnectGrowth = 1.6;

/**
 * Asks grpc.health.v1.Health/Check, and words the outcome as upstream's probe does, whose client tries to connect for as long
 * as the probe may take.
 */
export async function checkGrpcHealth(
  host: string,
  port: number,
  service: string,
  timeout_ms: number,
): Promise<ProbeOutcome> {
  const address = hostPort(host, port);
  const deadline_ms = performance.now() + timeout_ms;
  for (let pause_ms = firstReconnect_ms; ; pause_ms *= reconnectGrowth) {
    const outcome = await ask(address, service, { timeout_ms, deadline_ms });
    if (outcome !== "not reached") return outcome;
    const left_ms = deadline_ms - performance.now();
    await delay(Math.max(0, Math.min(pause_ms, left_ms)));
    if (pause_ms < left_ms) continue;
    const within = formatGoDuration_ms(timeout_ms);
    const output = `timeout: failed to connect service "${address}" within ${within}: context deadline exceeded`;
    return { result: "failure", output };
  }
}

async function ask(
  address: string,
  service: string,
  { timeout_ms, deadline_ms }: { readonly timeout_ms: number; readonly deadline_ms: number },
): Promise<ProbeOutcome | "not reached"> {
  const channel = new GrpcChannel({
    endpoint: new URL(`http://${address}`),
    connect_ms: timeout_ms + 1_000,
    longestMessage_bytes,
    userAgent: "kube-probe/1.35",
    awaitsSettings: true,
  });
  try {
    const request = HealthCheckRequest.encode({ service });
    const left_ms = Math.max(1, deadline_ms - performance.now());
    const answer = await channel.unary("/grpc.health.v1.Health/Check", request, left_ms);
    const status = servingStatus[HealthCheckResponse.decode(answer).status] ?? "UNKNOWN";
    if (status === "SERVING") return { result: "success", output: "service healthy" };
    return { result: "failure", output: `service unhealthy (responded with "${status}")` };
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error;
    if (!error.mayHaveArrived) return "not reached";
    return { result: "failure", output: failureText(error, timeout_ms) };
  } finally {
    channel.close();
  }
}

function failureText(error: GrpcError, timeout_ms: number): string {
  if (error.code === GrpcCode.DeadlineExceeded)
    return `timeout: health rpc did not complete within ${formatGoDuration_ms(timeout_ms)}`;
  if (error.code === GrpcCode.Unimplemented) {
    const text = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)";
    return `${text}: ${error.message}`;
  }
  return `error: health rpc probe failed: ${error.description}`;
}
