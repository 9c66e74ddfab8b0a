import { connect } from "node:http2";
import type { ProbeOutcome } from "./run-probe.ts";

const servingStatus: Readonly<Record<number, string>> = {
  0: "UNKNOWN",
  1: "SERVING",
  2: "NOT_SERVING",
  3: "SERVICE_UNKNOWN",
};
const unimplemented = 12;

/**
 * Asks grpc.health.v1.Health/Check: one message each way over HTTP/2, so the few bytes are written by hand (a request
 * has the service's name as field 1, an answer the status as field 1).
 */
export function checkGrpcHealth(
  host: string,
  port: number,
  service: string,
  timeout_ms: number,
): Promise<ProbeOutcome> {
  const { promise, resolve } = Promise.withResolvers<ProbeOutcome>();
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  let connected = false;
  const session = connect(`http://${address}`);
  const end = (result: ProbeOutcome["result"], output: string): void => {
    clearTimeout(timer);
    session.destroy();
    resolve({ result, output });
  };
  const timer = setTimeout(() => {
    const timeout = `${timeout_ms / 1000}s`;
    end(
      "failure",
      connected
        ? `timeout: health rpc did not complete within ${timeout}`
        : `timeout: failed to connect service "${address}" within ${timeout}: context deadline exceeded`,
    );
  }, timeout_ms);
  session.once("connect", () => {
    connected = true;
  });
  session.once("error", (error) =>
    end("failure", `error: failed to connect service at "${address}": ${(error as Error).message}`),
  );

  const stream = session.request({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    "content-type": "application/grpc",
    "user-agent": "kube-probe/1.35",
    te: "trailers",
  });
  const chunks: Buffer[] = [];
  let grpcStatus: string | undefined;
  let grpcMessage = "";
  const take = (headers: Record<string, unknown>): void => {
    if (headers["grpc-status"] === undefined) return;
    grpcStatus = String(headers["grpc-status"]);
    grpcMessage = decodeURIComponent(String(headers["grpc-message"] ?? ""));
  };
  stream.on("response", take);
  stream.on("trailers", take);
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", (error: Error) => end("failure", `error: health rpc probe failed: ${error.message}`));
  stream.on("end", () => {
    if (grpcStatus !== undefined && grpcStatus !== "0") {
      const text =
        Number(grpcStatus) === unimplemented
          ? `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${grpcMessage}`
          : `error: health rpc probe failed: rpc error: code = ${grpcStatus} desc = ${grpcMessage}`;
      return end("failure", text);
    }
    const status = servingStatus[decodeStatus(Buffer.concat(chunks))] ?? "UNKNOWN";
    if (status === "SERVING") end("success", "service healthy");
    else end("failure", `service unhealthy (responded with "${status}")`);
  });
  stream.end(encodeRequest(service));
  return promise;
}

function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name]);
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

/** Status of an answer; 0 when the field is absent, as proto3 has it. */
function decodeStatus(frame: Buffer): number {
  return frame.length >= 7 && frame[5] === 0x08 ? (frame[6] ?? 0) : 0;
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
