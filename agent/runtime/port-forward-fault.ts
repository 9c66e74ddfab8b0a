import { connectionFault } from "#shared/http/connection-fault.ts";
import { RuntimeError } from "./runtime.ts";

/** Why a port of a sandbox was not reached, as `kubectl port-forward` shows it: in the words of upstream's runtimes. */
export function portForwardFault(sandboxId: string, port: number, error: Error): RuntimeError {
  const fault = connectionFault(error, `127.0.0.1:${port}`);
  const message = `failed to connect to localhost:${port} inside namespace "${sandboxId}": ${fault}`;
  return new RuntimeError("network", message, { cause: error });
}
