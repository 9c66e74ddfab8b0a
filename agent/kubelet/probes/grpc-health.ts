import { GrpcChannel } from "#shared/grpc/channel.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import { integer, message, string } from "#shared/grpc/message.ts";
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

/** Asks grpc.health.v1.Health/Check, and words the outcome as upstream's probe does. */
export async function checkGrpcHealth(
  host: string,
  port: number,
  service: string,
  timeout_ms: number,
): Promise<ProbeOutcome> {
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const endpoint = new URL(`http://${address}`);
  const channel = new GrpcChannel({
    endpoint,
    connect_ms: timeout_ms + 1_000,
    longestMessage_bytes,
    userAgent: "kube-probe/1.35",
  });
  try {
    const request = HealthCheckRequest.encode({ service });
    const answer = await channel.unary("/grpc.health.v1.Health/Check", request, timeout_ms);
    const status = servingStatus[HealthCheckResponse.decode(answer).status] ?? "UNKNOWN";
    if (status === "SERVING") return { result: "success", output: "service healthy" };
    return { result: "failure", output: `service unhealthy (responded with "${status}")` };
  } catch (error) {
    if (error instanceof GrpcError) return { result: "failure", output: failureText(error, address, timeout_ms) };
    throw error;
  } finally {
    channel.close();
  }
}

function failureText(error: GrpcError, address: string, timeout_ms: number): string {
  const within = `${timeout_ms / 1000}s`;
  if (error.code === GrpcCode.DeadlineExceeded) {
    return error.mayHaveArrived
      ? `timeout: health rpc did not complete within ${within}`
      : `timeout: failed to connect service "${address}" within ${within}: context deadline exceeded`;
  }
  if (!error.mayHaveArrived) return `error: failed to connect service at "${address}": ${error.message}`;
  if (error.code === GrpcCode.Unimplemented) {
    const text = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)";
    return `${text}: ${error.message}`;
  }
  return `error: health rpc probe failed: ${error.description}`;
}
